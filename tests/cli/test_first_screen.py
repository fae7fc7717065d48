"""What a user sees first: help, list, show, other names for commands, hints for wrong references, doctor."""

from __future__ import annotations

import json
import re
import shlex
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from typer.main import get_command

from ganzoo.cli import app, doctor, listing
from ganzoo.cli.examples import EXAMPLES
from ganzoo.cli.group import ALIASES, OPTIONS, SUGGESTIONS
from ganzoo.cli.output import out
from ganzoo.weights.layout import PREVIEW_NAME
from ganzoo.weights.manifest import Zoo
from tests.cli.test_language import commands
from tests.conftest import Ganzoo, InstallPlugin, assert_two_lines

PROGRAM: Any = get_command(app)


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """Run a function as if stdout were a terminal of 80×24, and return the lines that it printed there."""

    def run(action: Any) -> list[str]:
        monkeypatch.setenv("COLUMNS", "80")
        monkeypatch.setenv("LINES", "24")
        monkeypatch.setenv("TERM", "xterm")
        monkeypatch.setattr(out, "quiet", True)
        monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
        action()
        return re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out).splitlines()  # without colours

    return run


def test_help_fits_a_terminal_of_80_by_24(ganzoo: Ganzoo) -> None:
    for arguments in ((), ("--help",), ("help",)):
        lines = ganzoo(*arguments, COLUMNS="80").stdout.splitlines()
        assert len(lines) < 24
        assert max(map(len, lines)) <= 80
    assert all(name in "\n".join(lines) for name, command in PROGRAM.commands.items() if not command.hidden)


def test_list_fits_a_terminal_of_80_by_24(terminal: Any) -> None:
    lines = terminal(lambda: listing.list_("*", None, False, False, False))
    assert len(lines) <= 22  # and two more: what it says about the rest, and the prompt
    assert max(map(len, lines)) <= 80
    assert any(line.startswith("mnist-mlp ") and "fd-lenet 2.67 ↓" in line and "bundled" in line for line in lines)


@pytest.mark.parametrize("path", [path for path in commands(PROGRAM) if path], ids=" ".join)
def test_every_help_screen_has_an_example_that_the_program_accepts(path: tuple[str, ...]) -> None:
    found = EXAMPLES.get(" ".join(path))
    assert found, f"add an example to ganzoo/cli/examples.py for {' '.join(path)}"
    for example in found:
        program, *words = shlex.split(example.partition(" > ")[0], comments=True)
        assert program == "ganzoo"
        assert tuple(words[: len(path)]) == path or words[0] == path[0]
        context = PROGRAM.make_context("ganzoo", words, resilient_parsing=False)
        with context:
            _, command, rest = PROGRAM.resolve_command(context, [*words])
            while hasattr(command, "commands"):
                _, command, rest = command.resolve_command(context, rest)
            command.make_context("x", rest, parent=context)  # raises for an option that does not exist


def test_examples_are_at_the_end_of_the_help(ganzoo: Ganzoo) -> None:
    for arguments in (("sample",), ("cache", "prune")):
        lines = [line.strip() for line in ganzoo(*arguments, "-h").stdout.strip().splitlines()]
        assert lines[lines.index("Examples:") + 1 :] == [*EXAMPLES[" ".join(arguments)]]


def test_other_names_of_commands_work(ganzoo: Ganzoo) -> None:
    assert ganzoo("info", "quadratic-mlp").stdout == ganzoo("show", "quadratic-mlp").stdout
    assert ganzoo("LIST", "quadratic*").stdout == ganzoo("ls", "quadratic*").stdout
    assert ganzoo("version").stdout == ganzoo("--version").stdout
    assert ganzoo("help", "sample").stdout == ganzoo("sample", "--help").stdout
    assert {*ALIASES.values()} <= {*PROGRAM.commands}
    assert {line.split()[0] for line in SUGGESTIONS.values()} <= {*PROGRAM.commands}
    unknown = ganzoo("recipes")
    assert (unknown.returncode, "Did you mean 'ganzoo list recipes'?" in unknown.stderr) == (2, True)


@pytest.mark.parametrize(
    ("arguments", "guess"),
    [
        (("train", "quadratic-mlp", "--output-dir", "x"), "--out"),
        (("train", "quadratic-mlp", "--learning-rate=1"), "--lr"),
        (("sample", "quadratic-mlp", "--num-samples", "3"), "--num"),
    ],
)
def test_for_options_of_other_programs_the_right_one_is_named(
    arguments: tuple[str, ...], guess: str, ganzoo: Ganzoo
) -> None:
    result = ganzoo(*arguments)
    assert result.returncode == 2
    message = result.stderr.partition("No such option")[2]  # the rest is worded differently by each version of typer
    assert re.findall(r"--[a-z-]+", message)[1:] == [guess]


def test_no_option_is_named_that_a_command_does_not_have(ganzoo: Ganzoo) -> None:
    assert "--device" not in ganzoo("data", "prepare", "mnist", "--gpu").stderr
    known = {name for command in PROGRAM.commands.values() for option in command.params for name in option.opts}
    assert {line.split()[0] for line in OPTIONS.values()} <= known


@pytest.mark.parametrize(
    ("reference", "code", "words"),
    [
        ("cifar10-sngan", 2, ["recipe 'cifar10-sngan' has no weights yet", "ganzoo train cifar10-sngan"]),
        ("quadratic", 2, ["'quadratic' is a dataset", "quadratic-mlp, quadratic-relativistic"]),
        ("you/my-gan", 1, ["you/my-gan does not exist", "hf:you/my-gan"]),
        ("Quadratic-MLP", 2, ["Names are lower case: quadratic-mlp"]),
        ("run/model.safetensors", 1, ["is a file, not a folder", "Name its folder: run"]),
        ("run/checkpoints/step-1.safetensors", 1, ["is a file, not a folder", "Name its folder: run"]),
    ],
)
def test_a_wrong_reference_says_what_to_write(
    ganzoo: Ganzoo, cwd: Path, reference: str, code: int, words: list[str]
) -> None:
    (cwd / "run" / "checkpoints").mkdir(parents=True)
    for file in ("run.json", "model.safetensors", "checkpoints/step-1.safetensors"):
        (cwd / "run" / file).write_text("{}")
    assert_two_lines(ganzoo("verify", reference), code, *words)


def test_lists_of_one_kind(ganzoo: Ganzoo) -> None:
    shown = ganzoo("list", "recipes", "quadratic*").stdout.splitlines()
    assert [line.split("  ")[0] for line in shown] == ["recipe", "quadratic-mlp", "quadratic-relativistic"]
    assert set(json.loads(ganzoo("list", "datasets", "--json").stdout)) == {"datasets"}
    assert set(json.loads(ganzoo("list", "models", "--json").stdout)) == {"weights"}
    everything = ganzoo("list", "-a").stdout
    assert all(word in everything for word in ("metric", "optimizer", "fd-lenet", "adam"))
    assert_two_lines(ganzoo("list", "nonsense", "x*"), 2, "there is no list of 'nonsense'")


def test_a_broken_plugin_does_not_hide_the_others(ganzoo: Ganzoo, install_plugin: InstallPlugin) -> None:
    install_plugin("bad-one", {"ganzoo.recipes": {"bad-recipe": "bad_one:X"}}, {"bad_one.py": "raise ValueError('no')"})
    shown = ganzoo("list")
    assert "bad-recipe  cannot be used" in shown.stdout
    assert "cifar10-sngan  " in shown.stdout
    assert shown.stderr.count("failed to load recipe 'bad-recipe'") == 1
    checked = ganzoo("doctor", "--offline", "--json")
    assert checked.returncode == 1
    states = {check["name"]: check["state"] for check in json.loads(checked.stdout)["checks"]}
    assert (states["plugin bad-one"], states["plugin ganzoo"]) == ("broken", "ok")


def test_show_says_what_it_is_and_how_to_use_it(ganzoo: Ganzoo, cwd: Path) -> None:
    model = ganzoo("show", "mnist-cgan").stdout
    assert model.startswith("mnist-cgan@v1: handwritten digits on request")
    assert "label-accuracy 0.904 ± 0.004 ↑" in model
    assert "ganzoo sample mnist-cgan --label 9" in model
    assert "sha256" not in model
    assert "sha256" in ganzoo("show", "mnist-cgan", "--all").stdout
    assert "ganzoo train cifar10-sngan" in ganzoo("show", "cifar10-sngan").stdout
    assert "train (unlimited)" in ganzoo("show", "quadratic").stdout
    ganzoo("train", "quadratic-mlp", "--steps", "3", "--seed", "4", "--out", "run")
    run = ganzoo("show", "./run").stdout
    assert "seed 4" in run
    assert "step 3 of 3, finished" in run
    assert "ganzoo sample ./run" in run


def test_show_begins_with_a_picture_in_a_terminal(terminal: Any) -> None:
    from ganzoo.cli.show import show

    lines = terminal(lambda: show("mnist-mlp", everything=False, layers=False, json=False))
    title = next(index for index, line in enumerate(lines) if line.startswith("mnist-mlp@v1"))
    assert 4 <= title <= 10
    assert len(lines) <= 22


def test_bundled_weights_have_a_small_preview() -> None:
    for entry in Zoo().entries:
        folder = entry.bundled_folder()
        assert folder is not None
        with Image.open(folder / PREVIEW_NAME) as image:
            assert image.width > image.height
        assert (folder / PREVIEW_NAME).stat().st_size < 60_000


def test_a_healthy_machine_passes_and_nothing_secret_is_printed(ganzoo: Ganzoo, home: Path) -> None:
    secrets = {"HF_TOKEN": "hf_secret", "HTTPS_PROXY": "http://me:secret@proxy:1", "GANZOO_PLUGINS": "off"}
    checked = ganzoo("doctor", "--offline", **secrets)
    assert checked.returncode == 0, checked.stderr
    assert "Everything works." in checked.stderr
    printed = ganzoo("env", **secrets)
    assert printed.returncode == 0
    assert printed.stdout.startswith("| what | found |\n|---|---|\n| ganzoo |")
    assert "HF_TOKEN" in printed.stdout
    assert "GANZOO_PLUGINS=off" in printed.stdout
    assert "secret" not in checked.stdout + checked.stderr + printed.stdout + printed.stderr
    assert str(home) not in printed.stdout


def test_damage_in_the_store_and_a_store_that_cannot_be_written_are_broken(
    ganzoo: Ganzoo, home: Path, tmp_path: Path
) -> None:
    ganzoo("pull", "quadratic-mlp")
    blob = next((home / "blobs").iterdir())
    blob.write_bytes(b"x" * blob.stat().st_size)
    damaged = ganzoo("doctor", "--offline")
    assert damaged.returncode == 1
    assert "Hint:  ganzoo cache verify --repair" in damaged.stderr
    (tmp_path / "file").touch()
    unwritable = ganzoo("doctor", "--offline", GANZOO_HOME=str(tmp_path / "file" / "home"))
    assert unwritable.returncode == 1
    assert "Error: store: cannot be written" in unwritable.stderr


def test_requirements_that_are_not_met_are_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = ["numpy>=9999", "no-such-package", "rich", "absent-tool; extra == 'demo'"]
    monkeypatch.setattr(doctor, "requires", lambda _: wanted)
    monkeypatch.setattr(doctor, "_extra_names", lambda: {"demo"})
    states = {check.name: check for check in [*doctor._software(), *doctor._extras()]}
    assert states["numpy"].state == states["no-such-package"].state == "broken"
    assert states["numpy"].hint == "pip install 'numpy>=9999'"
    assert states["rich"].state == "ok"
    assert (states["extra demo"].state, "pip install 'ganzoo[demo]'" in states["extra demo"].found) == ("note", True)
