"""Texts as words of a command that is printed to be pasted."""

from __future__ import annotations

import os
import shlex
from pathlib import Path


def quoted(text: str | os.PathLike[str]) -> str:
    """Quote a text for a POSIX shell so that it survives being printed.

    Messages are one line without control characters. So a name with any, with several blanks in a row, or that is not
    valid in the locale's encoding is written as $'…' with octal escapes, which bash, zsh and POSIX 2024 understand.
    """
    text = os.fspath(text)
    if text.isprintable() and "  " not in text:
        return shlex.quote(text)
    signs = (chr(byte) if 32 < byte < 127 and byte not in b"'\\" else f"\\{byte:03o}" for byte in os.fsencode(text))
    return f"$'{''.join(signs)}'"


def as_reference(path: Path) -> str:
    """Write a folder so that commands take it as one: a name without a slash would be that of weights."""
    return f"./{path}" if len(path.parts) == 1 and not path.is_absolute() else str(path)
