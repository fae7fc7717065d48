"""Messages that are more than a sentence: commands to paste, hints that follow the cause, questions."""

from __future__ import annotations

import errno
import json
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from PIL import Image

from ganzoo import load as ganzoo_load
from ganzoo.cli.output import confirm, out
from ganzoo.errors import GanzooError, UsageError
from ganzoo.rendering import animation, write_animation
from tests.conftest import Ganzoo, InstallPlugin, assert_two_lines


def test_the_next_command_can_be_pasted(ganzoo: Ganzoo) -> None:
    trained = ganzoo("train", "quadratic-mlp", "--steps", "2", "--seed", "0", "--out", "my run")
    assert trained.returncode == 0, trained.stderr
    assert trained.stdout == "./my run\n"
    assert "Next: ganzoo sample './my run' --out samples.png" in trained.stderr


def test_a_finished_run_says_so(ganzoo: Ganzoo) -> None:
    ganzoo("train", "quadratic-mlp", "--steps", "2", "--seed", "0", "--out", "run")
    resumed = ganzoo("resume", "run")
    assert (resumed.returncode, resumed.stdout) == (0, "./run\n")
    assert "already finished. Train further: ganzoo resume ./run --steps 4. Next: ganzoo sample ./run" in resumed.stderr
    assert "Done in" not in resumed.stderr


ESCAPES = "\x1b]0;PWNED\x07\x1b[2J\x9b2J\r\u202e"


def test_no_text_of_strangers_steers_a_terminal(ganzoo: Ganzoo, cwd: Path) -> None:
    state = ganzoo_load("quadratic-mlp").generator.state_dict()
    torch.save({f"{ESCAPES}.{name}": tensor for name, tensor in state.items()}, cwd / "g.pth")
    imported = ganzoo("import", "g.pth", "--recipe", "quadratic-mlp")
    assert imported.returncode == 0, imported.stderr
    (cwd / "g" / "training.json").write_text(json.dumps({"device": ESCAPES, "settings": {"recipe": {"name": ESCAPES}}}))
    config = json.loads((cwd / "g" / "config.json").read_text())
    (cwd / "g" / "config.json").write_text(json.dumps({**config, "recipe": ESCAPES}))
    commands = ["show ./g", "push ./g me/x --license mit --dry-run", "import g.pth --recipe mnist-mlp --out h"]
    for result in [imported, *(ganzoo(*command.split()) for command in commands)]:
        shown = result.stdout + result.stderr
        assert "PWNED" in shown or result.returncode
        assert all(sign.isprintable() or sign == "\n" for sign in shown), result


def test_the_lines_of_an_error_are_bounded(capsys: pytest.CaptureFixture[str]) -> None:
    out.error(GanzooError(f"no such thing as {'x' * 1_000_000}, really.", hint="y" * 1_000_000))
    out.talk("z" * 1_000_000)
    lines = capsys.readouterr().err.splitlines()
    assert [len(line) for line in lines] == [1007, 1007, 1000]
    assert lines[0].startswith("Error: no such thing as xxx")
    assert lines[0].endswith("xxx, really.")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("command", "code"),
    [("list >&-", 0), ("show nothing 2>&-", 2), ("rm mnist-mlp <&-", 2), ("--version <&- >&- 2>&-", 0)],
)
def test_closed_streams_are_no_bugs(command: str, code: int, tmp_path: Path) -> None:
    ran = subprocess.run(
        ["bash", "-c", f"{shlex.quote(sys.executable)} -m ganzoo {command}"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == code, ran.stderr
    assert "bug" not in ran.stderr
    assert "Error" not in ran.stdout


@pytest.mark.slow
@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("raise OSError('libtorch.so: cannot open shared object file')", "libtorch.so"),
        ("raise ModuleNotFoundError(\"No module named 'torch'\", name='torch')", "No module named 'torch'"),
    ],
    ids=["broken", "missing"],
)
def test_torch_that_cannot_be_imported_is_one_sentence(
    ganzoo_process: Ganzoo, install_plugin: InstallPlugin, content: str, words: str
) -> None:
    install_plugin("shadow", {}, {"torch/__init__.py": content})
    result = ganzoo_process("sample", "mnist-mlp", "--out", "x.png")
    assert_two_lines(result, 1, f"torch cannot be imported: {words}", "pip install torch")


@pytest.mark.parametrize("content", ["[" * 100_000, '{"a":' * 100_000, "5", "nothing"])
def test_show_of_a_file_that_is_not_an_object_is_one_line(ganzoo: Ganzoo, cwd: Path, content: str) -> None:
    (cwd / "x").mkdir()
    (cwd / "x" / "config.json").write_text(content)
    assert_two_lines(ganzoo("show", "./x"), 1, "x/config.json is not")


@pytest.mark.parametrize(
    ("cause", "hint"),
    [(errno.ENOSPC, "Free some disk space"), (errno.EROFS, "read-only"), (errno.EACCES, "permissions")],
)
def test_a_file_that_cannot_be_written_has_a_hint_for_its_cause(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cause: int, hint: str
) -> None:
    def fail(*_: object) -> None:
        raise OSError(cause, "reason")

    monkeypatch.setattr(animation, "write_atomically", fail)
    with pytest.raises(GanzooError, match=r"cannot write .*: reason") as caught:
        write_animation([Image.new("L", (4, 4))], tmp_path / "x.gif", 0.1)
    assert hint in caught.value.hint


def test_a_name_longer_than_a_file_name_may_be_is_shortened(ganzoo: Ganzoo) -> None:
    result = ganzoo("sample", "quadratic-mlp", "--out", "a" * 1000 + ".png", "--seed", "0")
    assert_two_lines(result, 1, "aaa.png: File name too long", "Choose a shorter name.")
    assert len(result.stderr) < 350


@pytest.mark.parametrize("name", ["hf:" + "a" * 1000 + "/b", "a" * 1000])
def test_show_of_a_name_longer_than_a_file_name_may_be_says_what_names_are(ganzoo: Ganzoo, name: str) -> None:
    result = ganzoo("show", name)
    assert_two_lines(result, 2, "is not a", "hf:owner/repo")
    assert len(result.stderr) < 450


def test_a_missing_folder_is_not_called_a_full_disk(ganzoo: Ganzoo) -> None:
    result = ganzoo("sample", "quadratic-mlp", "--out", "/proc/nothing/x.npy", "--seed", "0")
    assert result.returncode == 1
    assert "Hint:  Check the path." in result.stderr


def test_without_a_terminal_nothing_is_confirmed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: False, raising=False)
    with pytest.raises(UsageError, match=r"not deleting x without confirmation \(not a terminal\)") as caught:
        confirm("Delete x?", "not deleting x", yes=False)
    assert "--yes" in caught.value.hint
    confirm("Delete x?", "not deleting x", yes=True)


def test_maintainers_commands_are_hidden_but_there(ganzoo: Ganzoo) -> None:
    assert "maintainers" not in ganzoo("--help").stdout
    assert "maintainers" in ganzoo("zoo", "--help").stdout


def test_a_label_is_checked_before_anything_is_printed(ganzoo: Ganzoo) -> None:
    for arguments, message in (
        (["mnist-mlp", "--label", "3"], "not class-conditional"),
        (["mnist-cgan", "--label", "x"], "unknown class"),
    ):
        result = ganzoo("sample", *arguments, "--out", "x.png")
        assert result.returncode == 2
        assert result.stderr.startswith("Error: ")
        assert message in result.stderr


def test_a_leaderboard_is_checked_or_written_not_both(ganzoo: Ganzoo) -> None:
    for arguments in (["--check", "--out", "x"], ["--protocol", "quadratic-exact-v2"], ["--check", "--protocol", "x"]):
        result = ganzoo("zoo", "measure", *arguments)
        assert result.returncode == 2, result.stderr
        assert "Hint:" in result.stderr
