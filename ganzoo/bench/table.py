"""CSV files that collect measurements, one per line."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from dataclasses import astuple, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ganzoo.errors import UsageError
from ganzoo.system.files import write_atomically

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


class CsvTable:
    """Rows of one dataclass, whose fields are the columns."""

    def __init__(self, path: Path, row: type[DataclassInstance]) -> None:
        """Check the file if it exists. Raises UsageError when it has other columns, OSError."""
        self._path, self._columns = path, [field.name for field in fields(row)]
        text = self._text()
        if text and next(csv.reader(text.splitlines())) != self._columns:
            raise UsageError(
                f"{path} has other columns than {row.__name__} rows of this version.",
                hint="Choose another file; a new one is created.",
            )

    def append(self, rows: Iterable[DataclassInstance]) -> None:
        """Append rows; a new file starts with the column names. Raises OSError."""
        # Read again and written as a whole: an interrupted append cannot leave half a row.
        text = self._text() or _lines([self._columns])
        text += "" if text.endswith("\n") else "\n"
        write_atomically(self._path, (text + _lines(astuple(row) for row in rows)).encode())

    def _text(self) -> str:
        try:
            return self._path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return ""


def _lines(rows: Iterable[Iterable[Any]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()
