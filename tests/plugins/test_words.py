from __future__ import annotations

import dataclasses
import re
import socket
import subprocess
import sys
from importlib import resources
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import ganzoo
from ganzoo.data.batches import DrawnBatches
from ganzoo.specs import SyntheticData
from ganzoo_dcgan import DCGAN
from ganzoo_words import WORDS
from ganzoo_words.glyphs import FONTS, SIZES, glyph
from ganzoo_words.lexicon import lexicon
from ganzoo_words.recipes import WORDS_DCGAN
from ganzoo_words.rendering import render
from ganzoo_words.styles import NUMBERS, Styles, choose_styles

FIXTURE = Path(__file__).parents[1] / "data" / "mjsynth" / "90kDICT32px"

TINY = {
    "seed": 0,
    "steps": 4,
    "batch_size": 8,
    "config.generator_widths": [4, 4],
    "config.discriminator_widths": [4, 4],
    "log_every": 2,
    "sample_every": 4,
    "checkpoint_every": 2,
}


def data() -> SyntheticData:
    loaded = WORDS.load(Path("nowhere"), "train", False)
    assert isinstance(loaded, SyntheticData)
    return loaded


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def styles(num: int, seed: int = 0) -> Styles:
    return choose_styles(np.random.default_rng(seed).random((num, NUMBERS)))


def draw_texts(num: int, generator: torch.Generator) -> list[str]:
    draw = data().draw_texts
    assert draw is not None
    return draw(num, generator)


def test_every_text_is_in_the_vocabulary_in_lower_case() -> None:
    assert data().vocabulary is not None
    vocabulary = data().vocabulary()
    assert {text.lower() for text in draw_texts(500, seeded(0))} <= vocabulary
    assert all(word == word.lower() for word in vocabulary)


@pytest.mark.parametrize("num", [0, 1, 100])
def test_images_are_what_the_spec_says(num: int) -> None:
    images = data().draw(num, seeded(0))
    assert images.shape == (num, *WORDS.sample.shape)
    assert images.dtype == torch.float32
    # The very values that 8-bit images have.
    levels = (images + 1) * 127.5
    assert torch.allclose(levels, levels.round(), atol=1e-4)
    assert (images.abs() <= 1).all()
    assert num < 100 or (images.min() == -1 and images.max() == 1)


def test_one_state_gives_one_batch_and_the_next_batch_differs() -> None:
    generator = seeded(1)
    data().draw(5, generator)
    state = generator.get_state()
    second, third = data().draw(70, generator), data().draw(70, generator)
    again = torch.Generator()
    again.set_state(state)
    assert torch.equal(data().draw(70, again), second)
    assert torch.equal(data().draw(70, again), third)
    assert not torch.equal(second, third)
    assert not torch.equal(data().draw(70, seeded(2)), data().draw(70, seeded(3)))


def test_left_and_taken_up_again_batches_go_on_as_they_would_have() -> None:
    batches = DrawnBatches(data(), 6, 0, torch.device("cpu"))
    batches.next()
    state = batches.state_dict()
    expected = batches.next().samples
    other = DrawnBatches(data(), 6, 0, torch.device("cpu"))
    other.load_state_dict(state)
    assert torch.equal(other.next().samples, expected)


def test_drawing_leaves_the_global_generators_alone() -> None:
    torch.manual_seed(0)
    np.random.seed(0)
    before, before_numpy = torch.get_rng_state(), np.random.get_state()[1]
    data().draw(3, seeded(0))
    assert torch.equal(torch.get_rng_state(), before)
    assert np.array_equal(np.random.get_state()[1], before_numpy)


def test_texts_are_those_of_the_images_drawn_from_the_same_state() -> None:
    words, images = seeded(4), seeded(4)
    texts = [draw_texts(6, words) for _ in range(2)]
    drawn = [data().draw(6, images) for _ in range(2)]
    assert torch.equal(words.get_state(), images.get_state())
    assert texts[0] != texts[1]
    # The numbers that choose the words also choose the styles, so that the images follow from the texts.
    for number, batch in enumerate(drawn):
        source = seeded(4)
        for _ in range(number):
            draw_texts(6, source)
        numbers = torch.rand(6, 2 + NUMBERS, generator=source).double().numpy()
        noise = seeded(int(torch.randint(1 << 62, (), generator=source)))
        expected, _ = render(texts[number], choose_styles(numbers[:, 2:]), noise)
        assert torch.equal(((batch[:, 0] + 1) * 127.5).round().to(torch.uint8), expected)


def test_words_come_in_three_cases_from_all_over_the_list() -> None:
    texts = draw_texts(3000, seeded(0))
    assert {text.lower() for text in texts} <= set(lexicon())
    assert len(set(map(str.lower, texts))) > 1500
    cases = [sum(map(case, texts)) / len(texts) for case in (str.islower, str.isupper, str.istitle)]
    assert all(0.3 < share < 0.37 for share in cases)


def test_the_word_list_is_sorted_plain_and_large_enough() -> None:
    assert list(lexicon()) == sorted(set(lexicon()))
    assert len(lexicon()) >= 3000
    assert all(re.fullmatch("[a-z]{2,14}", word) for word in lexicon())


def test_every_typeface_has_every_letter() -> None:
    for font in range(len(FONTS)):
        inks = set()
        for letter in "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ":
            assert glyph(font, SIZES[-1], letter).ink.max() > 200, (FONTS[font], letter)
            inks.add(glyph(font, SIZES[-1], letter).ink.tobytes())
        assert len(inks) > 45  # a missing letter would be the same box as another; some faces share a few


@pytest.mark.slow
def test_every_word_of_the_list_stands_out_from_its_ground() -> None:
    words = [word.upper() if index % 2 else word for index, word in enumerate(lexicon())]
    images, widths = render(words, styles(len(words)), seeded(0))
    assert images.shape == (len(words), 32, 128)
    contrast = images.float().std(dim=(1, 2))
    assert contrast.min() > 3, words[int(contrast.argmin())]
    assert contrast.median() > 25
    assert widths.min() >= 16
    assert widths.max() == 128


def test_half_of_the_words_are_darker_than_their_ground() -> None:
    chosen = styles(4000)
    assert 0.45 < (chosen.text < chosen.ground).mean() < 0.55
    for shades in (chosen.text, chosen.ground):
        assert shades.min() >= 0
        assert shades.max() <= 255


def test_narrow_words_repeat_their_last_column_and_wide_ones_are_squeezed() -> None:
    chosen = styles(200, seed=5)
    words = [lexicon()[index * 25] for index in range(200)]
    images, widths = render(words, chosen, seeded(0))
    natural = render(words, chosen, seeded(0), width=640)[1]
    assert torch.equal(widths, natural.clamp(max=128))
    assert (widths < 128).any()
    assert (widths == 128).any()
    for image, width in zip(images, widths.tolist(), strict=True):
        assert (image[:, width:] == image[:, width - 1 : width]).all()


def test_a_few_steps_of_the_recipe_leave_a_generator_of_words(tmp_path: Path) -> None:
    run = ganzoo.train("words-dcgan", out=tmp_path / "run", settings=TINY)
    assert [record["step"] for record in run.records()] == [2, 4]
    samples = ganzoo.load(run.path).sample(3, seed=0)
    assert samples.shape == (3, 1, 32, 128)
    assert samples.abs().max() <= 1


def test_the_recipes_nets_fit_its_dataset() -> None:
    config, sample = DCGAN.config(**WORDS_DCGAN.config), dataclasses.replace(WORDS.sample, text=None)
    with torch.device("meta"):
        generator = DCGAN.build_generator(config, WORDS_DCGAN.latent, sample)
        images = generator(torch.empty(2, WORDS_DCGAN.latent.dim))
        logits = DCGAN.build_discriminator(config, sample)(images)
    assert images.shape == (2, 1, 32, 128)
    assert logits.shape == (2,)


def test_drawing_opens_no_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a connection was opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    assert len(WORDS.load(Path("nowhere"), "train", True).draw(2, seeded(0))) == 2  # type: ignore[union-attr]


def test_the_package_holds_every_font_its_licence_and_the_words() -> None:
    package = resources.files("ganzoo_words")
    assert package.joinpath("words.txt").is_file()
    folder = package.joinpath("fonts")
    listing = folder.joinpath("README.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `([^`]+)` \|.*\| `(fonts-[a-z-]+)` ", listing, re.MULTILINE))
    assert set(rows) == set(FONTS)
    assert {path.name for path in folder.iterdir() if path.name.endswith((".otf", ".ttf"))} == set(FONTS)
    for name, origin in rows.items():
        assert folder.joinpath(name).is_file()
        licence = folder.joinpath(f"{origin}.copyright").read_text(encoding="utf-8")
        assert "PERMISSION & CONDITIONS" in licence or "Apache License, Version 2.0" in licence
    assert "TERMS AND CONDITIONS" in folder.joinpath("Apache-2.0.txt").read_text(encoding="utf-8")


def test_the_spec_loads_no_torch_and_no_pillow() -> None:
    code = "import sys, ganzoo_words.recipes, ganzoo_words; sys.exit(any(n in sys.modules for n in ('torch', 'PIL')))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_fixture_is_a_whole_set_in_mjsynths_layout() -> None:
    words = (FIXTURE / "lexicon.txt").read_text().split()
    paths = set()
    for split, num in (("train", 24), ("val", 8), ("test", 8)):
        lines = (FIXTURE / f"annotation_{split}.txt").read_text().splitlines()
        assert len(lines) == num
        for line in lines:
            path, lexid = line.split(" ")
            _, text, number = Path(path).stem.split("_")
            assert lexid == number
            assert words[int(lexid)] == text.lower()
            with Image.open(FIXTURE / path) as image:
                assert image.height == 31
                assert image.mode == "RGB"
            paths.add((FIXTURE / path).resolve())
    assert paths == {path.resolve() for path in FIXTURE.rglob("*.jpg")}


def test_the_fixtures_maker_writes_the_same_words_again(tmp_path: Path) -> None:
    from tests.data.make_mjsynth_fixture import write

    write(tmp_path / "set")
    for path in (*FIXTURE.glob("*.txt"), *FIXTURE.rglob("*.jpg")):
        again = tmp_path / "set" / path.relative_to(FIXTURE)
        if path.suffix == ".txt":
            assert again.read_text() == path.read_text()
        else:  # another release of FreeType or of the JPEG library may move a shade
            with Image.open(path) as old, Image.open(again) as new:
                assert abs(new.width - old.width) <= 1
                old_mean, new_mean = (np.asarray(image).mean() for image in (old, new))
                assert abs(new_mean - old_mean) < 3


def test_every_word_of_the_lexicon_is_a_text_of_the_spec() -> None:
    assert WORDS.sample.text is not None
    for word in lexicon():
        for text in (word, word.capitalize(), word.upper()):
            assert WORDS.sample.text.encode(text)[len(text) :] == (0,) * (14 - len(text))
