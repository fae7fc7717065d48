"""Pictures of samples: file types, seeds and rows, and what they say about themselves."""

from __future__ import annotations

import base64
import io
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from rich.console import Console

import ganzoo as library
from ganzoo.cli.terminal import draw
from ganzoo.errors import UsageError
from ganzoo.rendering import TerminalPicture, image_grid
from ganzoo.rendering.facts import command, read_facts
from ganzoo.rendering.graphics import graphics, graphics_protocol
from ganzoo.specs import LatentSpec, SampleSpec
from ganzoo.training import Training
from tests.conftest import Ganzoo, assert_two_lines
from tests.test_model import make_gan

CLASSES = SampleSpec(kind="image", shape=(1, 4, 4), classes=("cat", "dog", "größer"))


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image.convert("L")).astype(int)


@pytest.mark.parametrize(("name", "kind", "most"), [("x.png", "PNG", 0), ("x.webp", "WEBP", 0), ("x.JPG", "JPEG", 12)])
def test_a_still_is_of_its_file_type(tmp_path: Path, name: str, kind: str, most: int) -> None:
    library.sample(make_gan(), 9, out=tmp_path / name, seed=0)
    with Image.open(tmp_path / name) as image:
        assert image.format == kind
    expected = np.asarray(image_grid(make_gan().sample(9, seed=0))).astype(int)
    assert np.abs(pixels(tmp_path / name) - expected).max() <= most


def test_a_picture_that_its_file_type_cannot_hold_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="too many for"):
        library.sample(make_gan(), grid=(1, 3000), out=tmp_path / "x.webp", seed=0)
    assert list(tmp_path.iterdir()) == []


def test_each_seed_is_the_only_sample_of_that_seed(tmp_path: Path) -> None:
    gan = make_gan(CLASSES)
    done = library.sample(gan, seeds=[5, 0, 5], out=tmp_path / "x.npy")
    expected = [gan.sample(1, seed=seed, labels=label) for seed, label in [(5, "cat"), (0, "dog"), (5, "größer")]]
    assert np.array_equal(np.load(tmp_path / "x.npy"), torch.cat(expected).numpy())
    assert (done.num, done.seed) == (3, None)
    wrong: list[dict[str, Any]] = [{"num": 3}, {"seed": 1}, {"seeds": []}, {"seeds": [-1]}, {"seeds": range(10_001)}]
    for options in wrong:
        with pytest.raises(UsageError):
            library.sample(gan, **{"seeds": [1], **options}, out=tmp_path / "y.npy")


def test_a_grid_has_a_row_for_each_class(tmp_path: Path) -> None:
    gan = make_gan(CLASSES)
    library.sample(gan, grid=(4, 2), out=tmp_path / "x.png", seed=3)
    expected = image_grid(gan.sample(8, seed=3, labels=[0, 0, 1, 1, 2, 2, 0, 0]), columns=2)
    assert np.array_equal(pixels(tmp_path / "x.png"), np.asarray(expected))
    library.sample(gan, grid=(4, 2), label="dog", out=tmp_path / "dogs.png", seed=3)
    expected = image_grid(gan.sample(8, seed=3, labels="dog"), columns=2)
    assert np.array_equal(pixels(tmp_path / "dogs.png"), np.asarray(expected))


def test_a_folder_of_pictures_says_index_and_class_of_each(tmp_path: Path) -> None:
    library.sample(make_gan(CLASSES), 4, out=f"{tmp_path}/x/", seed=7)
    facts = read_facts(tmp_path / "x" / "000002.png")
    assert facts == {
        "recipe": "tiny",
        "num": "4",
        "seed": "7",
        "index": "2",
        "class": "größer",
        "version": library.__version__,
    }


def test_show_prints_the_command_that_draws_the_picture_again(ganzoo: Ganzoo, cwd: Path) -> None:
    options = ["--grid", "2x3", "--seed", "4", "--label", "7", "--truncation", "1.5"]
    assert ganzoo("sample", "mnist-cgan", *options, "--out", "x.png").returncode == 0
    shown = ganzoo("show", "x.png")
    assert shown.returncode == 0
    line = shown.stderr.splitlines()[-1]
    assert line == "Again: ganzoo sample mnist-cgan@v1 --grid 2x3 --seed 4 --label 7 --truncation 1.5 --out samples.png"
    assert ganzoo(*line.split()[2:]).returncode == 0
    assert (cwd / "samples.png").read_bytes() == (cwd / "x.png").read_bytes()
    facts = json.loads(ganzoo("show", "x.png", "--json").stdout)["picture"]
    assert (facts["model"], facts["label"]) == ("mnist-cgan@v1", "7")
    assert len(facts["weights_sha256"]) == 64


def test_pictures_of_others_say_nothing_or_are_refused(ganzoo: Ganzoo, cwd: Path) -> None:
    Image.new("L", (4, 4)).save(cwd / "plain.png")
    assert_two_lines(ganzoo("show", "plain.png"), 2, "does not say where it is from")
    (cwd / "text.png").write_text("hello")
    assert_two_lines(ganzoo("show", "text.png"), 1, "text.png is not a PNG.")
    (cwd / "cut.png").write_bytes((cwd / "plain.png").read_bytes()[:20])
    assert_two_lines(ganzoo("show", "cut.png"), 1, "cut.png is not a readable PNG: ")
    Image.new("L", (4, 4)).save(cwd / "loop.gif")
    assert_two_lines(ganzoo("show", "loop.gif"), 1, "loop.gif is not a PNG.", "Only the PNGs")


def test_what_a_picture_says_cannot_steer_the_terminal_or_the_shell(ganzoo: Ganzoo, cwd: Path) -> None:
    info = PngInfo()
    info.add_text("ganzoo.model", "x; rm -rf ~ \x1b[2J")
    info.add_text("ganzoo.seed", "$(id)")
    info.add_text("ganzoo.texts", "[1")
    Image.new("L", (4, 4)).save(cwd / "evil.png", pnginfo=info)
    shown = ganzoo("show", "evil.png")
    assert (shown.returncode, "\x1b" in shown.stdout + shown.stderr) == (0, False)
    assert "Again" not in shown.stderr  # the texts are cut off
    assert command({"model": "x; id", "seed": "$(id)"}) == "ganzoo sample 'x; id' --seed '$(id)'"


def test_the_sheets_of_a_run_say_seed_and_step_and_its_checkpoints_are_sampled(
    ganzoo: Ganzoo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ganzoo.config import Layer

    monkeypatch.setenv("GANZOO_HOME", str(tmp_path / "home"))
    settings: dict[str, Any] = {
        "seed": 1,
        "steps": 9,
        "batch_size": 4,
        "ema_decay": 0.9,
        "checkpoint_every": 3,
        "sample_every": 3,
        "log_every": 3,
    }
    training = Training.start("quadratic-mlp", tmp_path / "run", [Layer("test", settings)])
    expected = {}
    for record in training:
        net = training.state.trained_generator
        latents = torch.ones(2, *LATENT.shape)
        with torch.no_grad():
            expected[record.step] = net.eval()(latents)
        net.train()
    run = tmp_path / "run"
    facts = read_facts(run / "samples" / "step-00000006.png")
    assert (facts["recipe"], facts["seed"], facts["step"]) == ("quadratic-mlp", "1", "6")
    for step in (6, 9):
        gan = library.load(run, step=step)
        assert torch.equal(gan(torch.ones(2, *LATENT.shape)), expected[step])
    assert gan.discriminator(gan.sample(2, seed=0)).shape == (2,)
    assert torch.equal(gan.sample(2, seed=0), library.load(run).sample(2, seed=0))
    assert not torch.equal(expected[6], expected[9])
    result = ganzoo("sample", str(run), "--step", "3", "--out", "x.png")
    assert_two_lines(result, 2, "no checkpoint of step 3", "Kept are 6, 9")
    assert ganzoo("sample", str(run), "--step", "6", "-n", "2", "--out", "x.png").returncode == 0


LATENT = LatentSpec(dim=5)


# --- pictures in pixels, in terminals that draw them ---


@pytest.mark.parametrize(
    ("environment", "protocol"),
    [
        ({"TERM": "xterm-kitty"}, "kitty"),
        ({"TERM": "xterm-256color", "TERM_PROGRAM": "WezTerm"}, "iterm2"),
        ({"TERM": "xterm-256color", "LC_TERMINAL": "iTerm2"}, "iterm2"),
        ({"TERM": "foot-extra"}, "sixel"),
        ({"TERM": "xterm-256color"}, None),
        ({}, None),
        ({"TERM": "xterm-kitty", "TERM_PROGRAM": "vscode"}, None),  # its terminal, started from a kitty
        ({"TERM": "tmux-256color", "TERM_PROGRAM": "WezTerm"}, None),
        ({"TERM": "foot", "TMUX": "/tmp/x"}, None),
        ({"TERM": "xterm", "GANZOO_GRAPHICS": "sixel"}, "sixel"),
        ({"TERM": "xterm-kitty", "GANZOO_GRAPHICS": "none"}, None),
    ],
)
def test_a_terminal_says_which_protocol_it_has(environment: dict[str, str], protocol: str | None) -> None:
    assert graphics_protocol(environment) == protocol


def test_kitty_and_iterm2_get_the_picture_as_a_png() -> None:
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (90, 120, 3), np.uint8))
    sequences = re.findall(r"\x1b_G([^;]*);([^\x1b]*)\x1b\\", graphics(image, "kitty", 40))
    assert sequences[0][0] == "a=T,f=100,q=2,c=40,m=1"
    assert [keys for keys, _ in sequences[1:]] == ["m=1"] * (len(sequences) - 2) + ["m=0"]
    assert max(len(data) for _, data in sequences) <= 4096
    match = re.fullmatch(r"\x1b\]1337;File=inline=1;width=40;height=auto:(.*)\a", graphics(image, "iterm2", 40))
    assert match is not None
    for data in ("".join(data for _, data in sequences), match[1]):
        with Image.open(io.BytesIO(base64.b64decode(data))) as sent:
            assert np.array_equal(np.asarray(sent), np.asarray(image))
    data = graphics(Image.new("L", (4000, 8)), "iterm2", 10).partition(":")[2]
    with Image.open(io.BytesIO(base64.b64decode(data))) as sent:
        assert sent.width == 200


def test_sixel_draws_every_pixel_in_its_colour() -> None:
    colours = np.array([[0, 0, 0], [255, 0, 0], [0, 255, 0], [51, 102, 204]], np.uint8)
    pixels = colours[np.random.default_rng(0).integers(0, 4, (13, 20))]
    pixels[2, 3:17] = colours[1]  # a run that is counted
    text = graphics(Image.fromarray(pixels), "sixel", 2, 10)
    match = re.fullmatch(r'\x1bP0;1q"1;1;20;13((?:#\d+;2;\d+;\d+;\d+)+)(.*)\x1b\\', text)
    assert match is not None
    palette = {
        int(index): [round(int(part) * 2.55) for part in parts]
        for index, *parts in re.findall(r"#(\d+);2;(\d+);(\d+);(\d+)", match[1])
    }
    drawn = np.full((18, 20, 3), -1)
    for band, rows in enumerate(match[2].split("-")[:-1]):
        for row in rows.split("$"):
            index, signs = re.fullmatch(r"#(\d+)(\D.*)", row).groups()  # type: ignore[union-attr]
            column = 0
            for num, sign in re.findall(r"(?:!(\d+))?([?-~])", signs):
                for _ in range(int(num or 1)):
                    for bit in range(6):
                        if (ord(sign) - 63) >> bit & 1:
                            drawn[6 * band + bit, column] = palette[int(index)]
                    column += 1
            assert column == 20
    assert np.abs(drawn[:13] - pixels).max() <= 2  # of 100 steps of a colour
    assert (drawn[13:] == -1).all()


@pytest.mark.parametrize(("terminal", "start"), [(True, "\x1b_Ga=T"), (False, " ")])
def test_pixels_are_sent_to_terminals_only(monkeypatch: pytest.MonkeyPatch, terminal: bool, start: str) -> None:
    monkeypatch.setenv("TERM", "xterm-kitty")
    monkeypatch.delenv("TERM_PROGRAM", raising=False)
    monkeypatch.delenv("TMUX", raising=False)
    file = io.StringIO()
    console = Console(file=file, force_terminal=terminal, color_system="truecolor" if terminal else None, width=40)
    draw(console, TerminalPicture(Image.new("L", (8, 8)), 8))
    assert file.getvalue().startswith(start)
    assert file.getvalue().endswith("\n")
