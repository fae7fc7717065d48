"""Files and folders that are written completely or not at all, and what killed processes leave."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ganzoo.system.files import contents, scratch_folder, whole_file, whole_folder, write_atomically

KILLED = """
import os, signal, sys
from pathlib import Path
from ganzoo.system import files
target = Path(sys.argv[1])
if sys.argv[2] == "file":
    with files.whole_file(target) as file:
        file.write(b"half")
        file.flush()
        os.kill(os.getpid(), signal.SIGKILL)
with files.whole_folder(target) as folder:
    for name in "abc":
        (folder / name).write_text(name)
    rename = os.rename
    if sys.argv[2] == "moving":
        def once(*names):
            rename(*names)
            os.kill(os.getpid(), signal.SIGKILL)
        Path.rename = lambda path, to: once(path, to)
    else:
        os.kill(os.getpid(), signal.SIGKILL)
"""


def kill_while(target: Path, writing: str) -> None:
    """Kill a process while it writes a target."""
    command = [sys.executable, "-c", KILLED, str(target), writing]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_what_a_killed_process_left_goes_when_the_file_is_written_again(tmp_path: Path) -> None:
    kill_while(tmp_path / "x", "file")
    kill_while(tmp_path / "y", "file")
    assert contents(tmp_path) == []
    assert len(names(tmp_path)) == 2
    write_atomically(tmp_path / "x", b"whole")
    assert len(names(tmp_path)) == 2  # x, and what was left of y
    write_atomically(tmp_path / "y", b"whole")
    assert names(tmp_path) == {"x", "y"}


def test_what_another_process_is_writing_stays(tmp_path: Path) -> None:
    target = tmp_path / "x"
    with whole_file(target) as slow:
        slow.write(b"slow")
        write_atomically(target, b"fast")
        assert target.read_bytes() == b"fast"
    assert target.read_bytes() == b"slow"
    assert names(tmp_path) == {"x"}


def test_files_of_other_names_stay(tmp_path: Path) -> None:
    other = [".x.0123456789abcdef.part", ".x.partial", "x.0123456789abcdef.partial", ".x.0123456789ABCDEF.partial"]
    for name in other:
        (tmp_path / name).write_text("mine")
    write_atomically(tmp_path / "x", b"")
    assert names(tmp_path) == {"x", *other}


@pytest.mark.parametrize("exists", [True, False])
def test_a_killed_folder_is_written_again(exists: bool, tmp_path: Path) -> None:
    target = tmp_path / "folder"
    if exists:
        target.mkdir()
    kill_while(target, "writing")
    assert not target.exists() or contents(target) == []
    with whole_folder(target) as folder:
        (folder / "d").write_text("d")
    assert names(target) == {"d"}
    assert names(tmp_path) == {"folder"}


def test_a_folder_that_was_killed_while_files_moved_up_counts_as_empty(tmp_path: Path) -> None:
    kill_while(tmp_path, "moving")
    (moved,) = names(tmp_path) & {"a", "b", "c"}
    assert contents(tmp_path) == []
    with whole_folder(tmp_path) as folder:
        (folder / "d").write_text("d")
    assert names(tmp_path) == {"d"}, moved


def test_an_interruption_while_files_move_up_leaves_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rename = Path.rename

    def interrupted(path: Path, target: Path) -> Path:
        if path.name == "c":
            raise KeyboardInterrupt
        return rename(path, target)

    def write() -> None:
        with whole_folder(tmp_path) as folder:
            for name in "abc":
                (folder / name).write_text(name)
            monkeypatch.setattr(Path, "rename", interrupted)

    with pytest.raises(KeyboardInterrupt):
        write()
    assert names(tmp_path) == set()


def test_what_the_user_puts_in_the_place_of_a_moved_file_is_kept(tmp_path: Path) -> None:
    kill_while(tmp_path, "moving")
    (moved,) = names(tmp_path) & {"a", "b", "c"}
    write_atomically(tmp_path / moved, b"mine")
    assert contents(tmp_path) == [tmp_path / moved]


def test_a_link_in_the_place_of_what_was_left_is_not_followed(tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "file").write_text("")
    (tmp_path / ".x.0123456789abcdef.partial").symlink_to(precious)
    write_atomically(tmp_path / "x", b"")
    assert names(precious) == {"file"}


def test_scratch_folders_are_private_and_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with scratch_folder() as folder, scratch_folder() as other:
        assert folder.parent == tmp_path
        assert folder != other
        assert folder.stat().st_mode & 0o777 == 0o700
    assert names(tmp_path) == set()
