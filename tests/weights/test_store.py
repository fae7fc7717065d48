from __future__ import annotations

import hashlib
import multiprocessing
import os
import resource
import stat
from pathlib import Path

import pytest

from ganzoo.errors import DigestMismatchError, StoreError, UsageError
from ganzoo.system.files import write_atomically
from ganzoo.weights.manifest import WeightsFile
from ganzoo.weights.store import Store, home

CONTENT = b"weights" * 1000
FILE = WeightsFile(
    path="model.safetensors", sha256=hashlib.sha256(CONTENT).hexdigest(), size=len(CONTENT), role="generator"
)


def test_what_was_added_is_read_back(home: Path) -> None:
    store = Store()
    assert not store.has(FILE)
    assert store.add(FILE, CONTENT) == home / "blobs" / FILE.sha256
    assert store.has(FILE)
    assert store.read(FILE, "") == CONTENT


def test_nothing_but_the_pinned_bytes_is_added(home: Path) -> None:
    for wrong in (CONTENT[:-1], CONTENT[:-1] + b"!"):
        with pytest.raises(DigestMismatchError):
            Store().add(FILE, wrong)
    assert not home.exists()


@pytest.mark.parametrize("position", [0, 1, len(CONTENT) // 2, len(CONTENT) - 1])
def test_a_changed_byte_is_noticed_on_reading(position: int) -> None:
    path = Store().add(FILE, CONTENT)
    damaged = bytearray(CONTENT)
    damaged[position] ^= 1
    path.write_bytes(damaged)
    with pytest.raises(DigestMismatchError, match="damaged or was edited") as caught:
        Store().read(FILE, "pull again")
    assert caught.value.hint == "pull again"


def test_a_truncated_blob_is_noticed_on_reading() -> None:
    Store().add(FILE, CONTENT).write_bytes(CONTENT[:10])
    with pytest.raises(DigestMismatchError, match="expected 7000 bytes, found 10"):
        Store().read(FILE, "")


def test_removing_says_what_was_freed() -> None:
    Store().add(FILE, CONTENT)
    assert Store().remove(FILE) == len(CONTENT)
    assert Store().remove(FILE) == 0


def _add_often(root: Path) -> None:
    for _ in range(50):
        Store(root).add(FILE, CONTENT)
        assert Store(root).read(FILE, "") == CONTENT


def test_processes_that_add_the_same_at_once_all_read_it_right(home: Path) -> None:
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=_add_often, args=(home,)) for _ in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * 4
    assert [path.name for path in (home / "blobs").iterdir()] == [FILE.sha256]


def _in_child(action: object) -> int:
    """Run in a forked process, so that its limits and rights end with it; return the exit code."""
    process = os.fork()
    if process == 0:
        code = 1
        try:
            code = action()  # type: ignore[operator]
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def test_a_full_disk_leaves_nothing_half_written(home: Path) -> None:
    def fill() -> int:
        # The kernel refuses to write past this size, as it does on a full disk (with another number).
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
        try:
            Store().add(FILE, CONTENT)
        except StoreError as error:
            return 0 if "GANZOO_HOME" in error.hint else 2
        return 3

    assert _in_child(fill) == 0
    assert list((home / "blobs").iterdir()) == []


def test_a_read_only_store_is_one_clear_error(tmp_path: Path) -> None:
    root = tmp_path / "locked"
    root.mkdir()
    root.chmod(stat.S_IRUSR | stat.S_IXUSR | stat.S_IROTH | stat.S_IXOTH)
    for parent in (tmp_path, *tmp_path.parents):
        if parent.stat().st_uid == os.getuid() and parent != Path("/"):
            parent.chmod(parent.stat().st_mode | stat.S_IXOTH)

    def write() -> int:
        if os.getuid() == 0:
            os.setuid(65534)  # root writes everywhere; nobody does not
        try:
            Store(root).add(FILE, CONTENT)
        except StoreError as error:
            return 0 if "permissions" in error.hint and "GANZOO_HOME" in error.hint else 2
        return 3

    assert _in_child(write) == 0
    assert list(root.iterdir()) == []


def test_a_folder_in_a_blobs_place_is_named() -> None:
    path = Store().path(FILE)
    path.mkdir(parents=True)
    with pytest.raises(StoreError, match=FILE.sha256):
        Store().add(FILE, CONTENT)


def test_a_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "file"
    write_atomically(target, b"old")

    def refuse(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(OSError, match="No space"):
        write_atomically(target, b"new")
    assert target.read_bytes() == b"old"
    assert list(tmp_path.glob(".*")) == []


def test_files_have_the_usual_rights(tmp_path: Path) -> None:
    write_atomically(tmp_path / "ours", b"")
    (tmp_path / "usual").write_bytes(b"")
    assert (tmp_path / "ours").stat().st_mode == (tmp_path / "usual").stat().st_mode


def test_the_home_of_nobody_is_a_usage_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GANZOO_HOME", "~nosuchuser/x")
    with pytest.raises(UsageError, match="GANZOO_HOME is '~nosuchuser/x'"):
        home()


def test_without_ganzoo_home_the_store_is_in_the_users_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GANZOO_HOME")
    assert home().name == "ganzoo"
