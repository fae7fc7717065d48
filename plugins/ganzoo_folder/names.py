"""Which files are pictures, by their names; and names as they are printed."""

from __future__ import annotations

import unicodedata

PICTURES = frozenset({".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".bmp", ".dib", ".tif", ".tiff", ".gif"})
"""Suffixes of the formats that are read. What a file really is, its first bytes say."""

UNSUPPORTED = frozenset(
    {".heic", ".heif", ".avif", ".jxl", ".jp2", ".svg", ".psd", ".xcf", ".ico", ".exr", ".hdr", ".tga", ".ppm", ".pgm"}
    | {".raw", ".dng", ".cr2", ".cr3", ".nef", ".arw", ".raf", ".orf", ".rw2"}
)
"""Suffixes of pictures that are not read, and are listed as skipped. Other files are not pictures, and not listed."""

ARCHIVES = frozenset({".zip", ".tar", ".tgz", ".gz", ".bz2", ".xz", ".tbz2", ".txz"})
"""Suffixes of archives, of which zips and tars are read."""

_SYSTEM = frozenset({"__MACOSX", "@eaDir", "$RECYCLE.BIN", "System Volume Information"})
"""Folders that operating systems and network disks put beside pictures."""


def is_hidden(part: str) -> bool:
    """Whether a file or folder of this name is not the user's: .DS_Store, ._photo.jpg, @eaDir."""
    return part.startswith(".") or part in _SYSTEM


def suffix(name: str) -> str:
    """Return the last suffix in lower case, with its dot; empty without one."""
    last = name.rpartition("/")[2]
    _, dot, end = last.rpartition(".")
    return f".{end.lower()}" if dot else ""


def printable(name: str) -> str:
    """Return a name without control characters and undecodable bytes, composed (NFC) as most systems write it."""
    composed = unicodedata.normalize("NFC", name)
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in composed)
