"""Messages that are more than a sentence: commands to paste, hints that follow the cause, questions."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest
from PIL import Image

from ganzoo.cli.output import confirm
from ganzoo.errors import GanzooError, UsageError
from ganzoo.rendering import animation, write_animation
from tests.conftest import Ganzoo


def test_the_next_command_can_be_pasted(ganzoo: Ganzoo) -> None:
    trained = ganzoo("train", "quadratic-mlp", "--steps", "2", "--seed", "0", "--out", "my run")
    assert trained.returncode == 0, trained.stderr
    assert trained.stdout == "./my run\n"
    assert "Next: ganzoo sample './my run' --out samples.png" in trained.stderr


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
