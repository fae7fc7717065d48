"""Who holds a lock."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from ganzoo.system import locks
from ganzoo.system.locks import holder

linux = pytest.mark.skipif(not Path("/proc/locks").is_file(), reason="the system does not say who holds a lock")


@linux
def test_the_process_that_holds_a_lock_is_named_with_its_command(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    code = "import sys, filelock; lock = filelock.FileLock(sys.argv[1]); lock.acquire(); print(flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", code, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        who = holder(path)
        process.communicate(b"\n")
    assert who.startswith(f"process {process.pid} ({Path(sys.executable).name} -c import")
    assert len(who) < 120
    assert holder(path) == "another process"  # nobody, any more


@pytest.mark.parametrize("text", ["", "nonsense\n1: x\n", "1: FLOCK  ADVISORY  WRITE -1 fe:00:{inode} 0 EOF\n"])
def test_where_the_system_does_not_say_it_is_another_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    path, listing = tmp_path / "lock", tmp_path / "locks"
    path.touch()
    listing.write_text(text.format(inode=path.stat().st_ino))
    monkeypatch.setattr(locks, "_LOCKS", listing)
    assert holder(path) == "another process"
    listing.unlink()
    assert holder(path) == "another process"
