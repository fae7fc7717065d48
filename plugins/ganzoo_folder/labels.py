"""The class of each picture: its sub-folder, or its line in a labels.csv."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ganzoo.errors import DatasetError, shortened
from ganzoo_folder.files import CSV_NAME, File, Listing, read_listed
from ganzoo_folder.names import printable

_FILE_COLUMNS = frozenset({"file", "filename", "file_name", "image", "path", "name", "id"})
_LABEL_COLUMNS = frozenset({"label", "class", "category", "target"})


@dataclass(frozen=True)
class Labels:
    """The class of each file of a listing."""

    of_files: tuple[str | None, ...]
    """None for a file without one."""
    why_none: str
    """Why a file does not have one."""
    absent: tuple[str, ...] = ()
    """Names in labels.csv of files that do not exist."""

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes that occur, sorted by name; numbers by value."""
        found = {label for label in self.of_files if label is not None}
        if all(label.isdecimal() for label in found):
            return tuple(sorted(found, key=lambda label: (int(label), label)))
        return tuple(sorted(found))


def labels_of(listing: Listing) -> Labels:
    """Return the class of each file. Raises DatasetError if labels.csv cannot be understood."""
    if listing.csv is None:
        return Labels(_folders_of(listing.files), "not in a sub-folder, which would be its class")
    return _from_csv(listing, listing.csv)


def _folders_of(files: Sequence[File]) -> tuple[str | None, ...]:
    """Return the first folder of each file below the folders that all share.

    An archive often holds one folder with everything; what all pictures share says nothing about their class.
    """
    parents = [file.name.split("/")[:-1] for file in files]
    usable = [parts for parts, file in zip(parents, files, strict=True) if not file.problem] or [[]]
    first, last = min(usable), max(usable)  # what these two share, all share
    depth = next((index for index, pair in enumerate(zip(first, last, strict=False)) if len(set(pair)) > 1), -1)
    if depth < 0:
        depth = min(len(first), len(last))
    return tuple(printable(parts[depth]) if len(parts) > depth else None for parts in parents)


def _from_csv(listing: Listing, csv_file: File) -> Labels:
    place = f"{listing.root}/{csv_file.name}"
    given = _rows(place, _text(listing, csv_file, place))
    beside = printable(csv_file.name)[: -len(CSV_NAME)]
    by_path = {printable(file.name): index for index, file in enumerate(listing.files)}
    by_name: dict[str, list[int]] = {}
    for path, index in by_path.items():
        last = path.rpartition("/")[2]
        for name in (last, last.rpartition(".")[0]):
            by_name.setdefault(name, []).append(index)
    labels: list[str | None] = [None] * len(listing.files)
    absent = []
    for name, label in given.items():
        # Many lists name files without their folders, or without their suffixes.
        found = next(([by_path[path]] for path in (beside + name, name) if path in by_path), by_name.get(name, []))
        for index in found:
            labels[index] = label
        if not found:
            absent.append(name)
    if absent and len(absent) == len(given):
        raise DatasetError(
            f"{place} lists none of the pictures; it begins with {shortened(absent[0], 60)!r}.",
            hint="Its first column names files, its second their classes, such as: photo.jpg,cat",
        )
    return Labels(tuple(labels), f"not in {CSV_NAME}", tuple(absent))


def _text(listing: Listing, file: File, place: str) -> str:
    try:
        return read_listed(listing, file).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DatasetError(f"{place} is not UTF-8.", hint="Save it as UTF-8 (in Excel: CSV UTF-8).") from error
    except ValueError as error:
        raise DatasetError(f"{place}: {error}.", hint="Check the file.") from error


def _rows(place: str, content: str) -> Mapping[str, str]:
    """Return file name -> label. Raises DatasetError."""
    first = content.partition("\n")[0]
    delimiter = max(",;\t", key=first.count)
    rows: dict[str, str] = {}
    columns = (0, 1)
    try:
        for number, row in enumerate(csv.reader(io.StringIO(content, newline=""), delimiter=delimiter), 1):
            if not any(cell.strip() for cell in row):
                continue
            if number == 1 and (header := _header([cell.strip().lower() for cell in row])):
                columns = header
                continue
            if len(row) <= max(columns):
                raise ValueError(f"line {number} has {len(row)} column{'s' if len(row) > 1 else ''}")  # noqa: TRY301
            name, label = (printable(row[column].strip()) for column in columns)
            if name and label:
                rows[name.replace("\\", "/").removeprefix("./")] = label
    except (csv.Error, ValueError) as error:
        raise DatasetError(
            f"{place} is not a list of files and labels: {error}.", hint="Write lines such as: photo.jpg,cat"
        ) from error
    return rows


def _header(cells: list[str]) -> tuple[int, int] | None:
    """Return the columns of file and label, if a line is a header."""
    file = next((index for index, cell in enumerate(cells) if cell in _FILE_COLUMNS), None)
    label = next((index for index, cell in enumerate(cells) if cell in _LABEL_COLUMNS), None)
    return None if file is None or label is None else (file, label)
