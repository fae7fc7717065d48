"""Who holds a lock of a file, for messages of those who wait for it."""

from __future__ import annotations

from pathlib import Path

_LOCKS = Path("/proc/locks")


def holder(path: Path) -> str:
    """Return the process that holds a file's lock, such as "process 4711 (ganzoo train mnist-mlp)".

    The text is "another process" where the system does not say: outside Linux, and for processes on other machines.
    Nothing is kept in files, so that the text is never about a process that has ended.
    """
    try:
        inode = str(path.stat().st_ino)
        # 1: FLOCK  ADVISORY  WRITE 4711 fe:00:2351325 0 EOF; the numbers of devices may differ from those of stat().
        rows = [line.split() for line in _LOCKS.read_text(encoding="ascii").splitlines()]
        pid = next(int(row[4]) for row in rows if len(row) > 5 and row[5].split(":")[-1] == inode)
    except (OSError, ValueError, StopIteration):
        return "another process"
    if pid <= 0:  # in another container
        return "another process"
    try:
        words = Path("/proc", str(pid), "cmdline").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return f"process {pid}"
    command = " ".join(Path(words[0]).name.split() + words[1:]).strip()
    return f"process {pid} ({command if len(command) <= 80 else f'{command[:77]}...'})" if command else f"process {pid}"
