from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import ganzoo
from ganzoo.config import Layer
from ganzoo.errors import SettingsError, UsageError
from ganzoo.projection import project
from ganzoo.registry import regularizers
from ganzoo.specs import GeneratorRegularizerInputs, LatentSpec, SampleSpec, TextSpec
from ganzoo.training import Training
from ganzoo.weights.tensors import deserialize
from ganzoo_scrabblegan import SCRABBLEGAN, ScrabbleGANConfig
from ganzoo_scrabblegan.networks import Discriminator, Generator, Letters
from ganzoo_scrabblegan.reading import ctc_loss, loss_per_character

TEXT = TextSpec(alphabet="abcil", max_length=6, examples=("abc", "ill", "a"))
SAMPLE = SampleSpec(kind="image", shape=(1, 32, 64), text=TEXT)
SMALL = ScrabbleGANConfig(
    character_dim=4,
    style_dim=6,
    generator_widths=(8, 6, 4),
    discriminator_widths=(4, 6),
    recogniser_widths=(4, 4, 6),
    reading_width=8,
)


def encoded(*texts: str) -> Tensor:
    return torch.tensor([TEXT.encode(text) for text in texts])


def nets(config: ScrabbleGANConfig = SMALL, sample: SampleSpec = SAMPLE) -> tuple[Generator, Discriminator]:
    torch.manual_seed(0)
    return (
        SCRABBLEGAN.build_generator(config, LatentSpec(dim=5), sample),  # type: ignore[return-value]
        SCRABBLEGAN.build_discriminator(config, sample),  # type: ignore[misc]
    )


@pytest.mark.parametrize("shape", [(1, 32, 64), (3, 16, 48), (1, 64, 32)])
def test_shapes_and_ranges(shape: tuple[int, int, int]) -> None:
    generator, discriminator = nets(sample=SampleSpec(kind="image", shape=shape, text=TEXT))
    texts = encoded("abc", "illlia", "a")
    images = generator(torch.randn(3, 5), texts)
    assert images.shape == (3, *shape)
    assert images.abs().max() <= 1
    assert discriminator(images, texts).shape == (3,)
    read = discriminator.read(images)
    assert read.shape == (shape[2] // 4, 3, 1 + len(TEXT.alphabet))
    torch.testing.assert_close(read.exp().sum(2), torch.ones(read.shape[:2]))


def letters(size: float = 0.0, margin: float = -10.0) -> tuple[Letters, Tensor]:
    """Letters whose size and margin (before the softplus) are the same in any style, and a style."""
    torch.manual_seed(0)
    layout = Letters(TEXT, SMALL, columns=24)
    torch.nn.init.zeros_(layout.size_and_margin.weight)
    layout.size_and_margin.bias.data = torch.tensor([float(size), float(margin)])
    return layout, torch.zeros(1, SMALL.style_dim)


def inside(layout: Letters, style: Tensor, text: str) -> Tensor:
    """How much of each column is within any letter, [columns]."""
    return layout(encoded(text), style)[0, -2].detach()


def test_letters_stand_side_by_side_in_reading_order() -> None:
    layout, style = letters()
    found = layout(encoded("ab"), style)[0]
    a, b = layout.characters.weight[1], layout.characters.weight[2]
    # Four columns each: 24 columns for at most 6 characters. The first two numbers of a column are of its letter.
    torch.testing.assert_close(found[:4, 1], a, rtol=0.1, atol=0.05)
    torch.testing.assert_close(found[:4, 6], b, rtol=0.1, atol=0.05)
    assert found[-2, 10:].max() < 0.05  # beyond the word
    assert found[-1, 0] < 0 < found[-1, 3]  # left and right of the middle of the first letter


def test_a_wide_letter_moves_what_follows_it() -> None:
    layout, style = letters()
    narrow = inside(layout, style, "ab").sum().item()
    layout.widths.weight.data[1] = 1.0  # "a" is e times as wide
    wide = inside(layout, style, "ab").sum().item()
    assert wide - narrow == pytest.approx(4 * (torch.e - 1), rel=0.1)
    layout(encoded("ab"), style).square().sum().backward()
    assert layout.widths.weight.grad is not None
    assert layout.widths.weight.grad[1].abs() > 0


def test_the_style_sets_size_and_margin() -> None:
    plain, larger, moved = (inside(*letters(*values), "ab") for values in ((0, -10), (1, -10), (0, 3)))
    assert larger.sum() > 1.3 * plain.sum()
    assert moved[:2].max() < 0.1 < plain[:2].min()
    assert moved.sum().item() == pytest.approx(plain.sum().item(), rel=0.05)


def test_a_word_that_would_not_fit_is_squeezed() -> None:
    layout, style = letters(size=4)
    columns = inside(layout, style, "abcila")
    assert columns[-1] < 0.5 < columns[-2]
    assert columns.sum().item() == pytest.approx(23, rel=0.05)


def test_the_loss_of_reading_is_torchs_own() -> None:
    torch.manual_seed(0)
    logits = torch.randn(12, 6, 6, requires_grad=True)
    texts = encoded("abc", "aaaaaa", "l", "", "iiblla"[:5], "ababab")
    lengths, weights = (texts > 0).sum(1), torch.randn(6)
    ours = ctc_loss(logits.log_softmax(2), texts)
    theirs = torch.nn.functional.ctc_loss(logits.log_softmax(2), texts, torch.full((6,), 12), lengths, reduction="none")
    torch.testing.assert_close(ours, theirs)
    gradients = [torch.autograd.grad((loss * weights).sum(), logits)[0] for loss in (ours, theirs)]
    torch.testing.assert_close(*gradients, rtol=1e-4, atol=1e-5)


def test_a_text_that_does_not_fit_costs_nothing() -> None:
    logits = torch.randn(5, 2, 6, requires_grad=True)
    loss = ctc_loss(logits.log_softmax(2), encoded("aaaa", "ab"))  # four equal letters need seven columns
    assert loss[0] == 0 < loss[1]
    loss.sum().backward()
    assert logits.grad is not None
    assert logits.grad.isfinite().all()
    assert not logits.grad[:, 0].any()


def test_the_loss_is_per_character() -> None:
    certain = torch.full((6, 2, 6), -20.0)
    certain[:, :, 0] = 0.0  # all blanks: every character costs about 20
    texts = encoded("ab", "abcil")
    assert loss_per_character(certain, texts).item() == pytest.approx(20, rel=0.1)


def test_the_generator_is_moved_towards_what_is_asked() -> None:
    generator, discriminator = nets()
    latents, texts = torch.randn(6, 5), encoded("a", "b", "c", "i", "l", "ab")
    optimizer, values = torch.optim.Adam(generator.parameters(), lr=1e-2), []
    for _ in range(40):
        given = GeneratorRegularizerInputs(
            generate=lambda latents: generator(latents, texts),
            latents=latents,
            fake=generator(latents, texts),
            labels=texts,
            discriminator=discriminator,
            directions=torch.zeros(6, 1, 32, 64),
            state={},
        )
        term = regularizers.get("read_fake").compute(given)
        optimizer.zero_grad()
        term.backward()
        optimizer.step()
        values.append(term.item())
    assert values[-1] < values[0] - 0.5


SCRABBLEGAN_TINY: dict[str, Any] = {
    "config": {
        "character_dim": 4,
        "style_dim": 4,
        "generator_widths": [4, 4],
        "discriminator_widths": [2, 4],
        "recogniser_widths": [2, 2, 4],
        "reading_width": 4,
    },
    "seed": 0,
    "steps": 4,
    "batch_size": 4,
    "device": "cpu",
    "log_every": 1,
    "sample_every": 4,
    "checkpoint_every": 2,
}


def checkpoint(job: Training) -> dict[str, Tensor]:
    tensors, _ = deserialize(job.run.checkpoints.path(4).read_bytes(), "")
    return {name: tensor for name, tensor in tensors.items() if not name.endswith("seconds")}


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["eager", "graph"])
def test_a_run_left_in_the_middle_and_resumed_gives_the_same_bytes(
    engine: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    layers = [Layer("test", {**SCRABBLEGAN_TINY, "engine": engine})]
    whole = Training.start("words-scrabblegan", tmp_path / "whole", layers)
    assert [record.step for record in whole] == [1, 2, 3, 4]
    assert "no gradient" not in caplog.text  # reaches the recogniser: the regularizer trains it
    stopped = Training.start("words-scrabblegan", tmp_path / "stopped", layers)
    for record in stopped:
        if record.step == 3:
            break
    resumed = Training.resume(stopped.run.path)
    list(resumed)
    expected, found = checkpoint(whole), checkpoint(resumed)
    assert expected.keys() == found.keys()
    assert all(torch.equal(expected[name], found[name]) for name in expected)


@pytest.mark.slow
def test_a_trained_model_writes_texts(tmp_path: Path) -> None:
    run = ganzoo.train("words-scrabblegan", out=tmp_path / "run", settings=SCRABBLEGAN_TINY)
    gan = ganzoo.load(run.path)
    one = gan.sample(2, seed=0, texts=["hello", "world"])
    assert one.shape == (2, 1, 32, 128)
    assert not torch.equal(one, gan.sample(2, seed=0, texts=["hello", "WORLD"]))


def test_a_recogniser_that_nothing_trains_is_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    # read_fake alone would make the generator please a recogniser of random weights.
    settings = {**SCRABBLEGAN_TINY, "steps": 1, "regularizers": {"read_fake": 1.0}}
    ganzoo.train("words-scrabblegan", out=tmp_path / "run", settings=settings)
    assert "no gradient reaches 'recogniser." in caplog.text


def test_a_model_of_texts_is_not_projected_onto(tmp_path: Path) -> None:
    run = ganzoo.train("words-scrabblegan", out=tmp_path / "run", settings={**SCRABBLEGAN_TINY, "steps": 1})
    with pytest.raises(UsageError, match="a model of texts cannot be projected onto"):
        project(ganzoo.load(run.path), torch.zeros(1, 1, 32, 128))


def test_what_the_nets_cannot_do_is_refused(tmp_path: Path) -> None:
    def refused(recipe: str, message: str, **settings: Any) -> None:
        with pytest.raises(SettingsError, match=message):
            ganzoo.train(recipe, out=tmp_path / "run", settings={**SCRABBLEGAN_TINY, **settings})
        assert not (tmp_path / "run").exists()

    refused("words-scrabblegan", "'scrabblegan' needs texts", conditional=False, condition="classes")
    deep = {**SCRABBLEGAN_TINY["config"], "recogniser_widths": [2, 2, 2, 2, 2, 2]}
    refused("words-scrabblegan", "a height divisible by 64", config=deep)
    refused("words-dcgan", "'read_real' works with scrabblegan", config={}, regularizers={"read_real": 1.0})
    narrow = SampleSpec(kind="image", shape=(1, 32, 16), text=TEXT)
    with pytest.raises(SettingsError, match="6 characters do not fit into images 16 pixels wide"):
        nets(sample=narrow)
