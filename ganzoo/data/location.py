"""Where a dataset is: its folder under --data-dir, and its packed copies in the store. Loads no numpy."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ganzoo.system.files import read_json
from ganzoo.weights.store import home

FORMAT = 2
"""Of pack.json; a copy of another format is packed again."""
MAX_RECORD_BYTES = 1 << 30
"""Of a record or journal: a large dataset may have as many source files as samples."""


def dataset_folder(data_dir: Path, dataset: str) -> Path:
    """Return where a dataset's files are: in `data_dir/<dataset>` if that is a folder, else in `data_dir` itself.

    So one --data-dir serves several datasets, in every command.
    """
    own = data_dir / dataset
    return own if own.is_dir() else data_dir


def remembered_folder(data_dir: Path | None) -> Path | None:
    """Return the folder or archive that a run was trained on, None if it is gone: then the packed copy is looked up.

    What is left of a disk that is not mounted is an empty folder.
    """
    try:
        return data_dir if data_dir is not None and (data_dir.is_file() or any(data_dir.iterdir())) else None
    except (OSError, ValueError):  # ValueError: an edited record may hold a NUL
        return None


@dataclass(frozen=True)
class PackedCopy:
    """One packed split, as its record describes it. Nothing of the arrays has been read."""

    path: Path
    dataset: str
    split: str
    settings: Mapping[str, Any]
    """Of the dataset, when it was packed; empty for a dataset without settings."""
    folder: Path | None
    """The files that it was packed from; None for those that the store downloaded."""
    time: str
    """When it was packed, ISO 8601."""
    digest: str
    sources: tuple[Mapping[str, Any], ...]
    """Path, size and modification time of each file that it was packed from."""
    num: int
    """Samples."""

    @property
    def is_changed(self) -> bool:
        """Whether a source file is another one now. One that is gone has not changed."""
        return not all(is_current(source, may_be_gone=True) for source in self.sources)

    @property
    def is_sourceless(self) -> bool:
        """Whether a source file is gone, so that the copy could not be packed again from where it came."""
        return not all(os.path.exists(source["path"]) for source in self.sources)  # noqa: PTH110 - one system call


def pack_path(dataset: str, split: str, folder: Path | None, settings: Mapping[str, Any]) -> Path:
    """Return where the copy of a split that is packed from a folder is, or would be; None: the store's own files.

    Copies of different settings of the dataset lie side by side.
    """
    name = split
    if folder is not None:
        name += "-" + hashlib.sha256(os.path.realpath(folder).encode(errors="surrogateescape")).hexdigest()[:12]
    if settings:
        name += "-" + hashlib.sha256(settings_key(settings)).hexdigest()[:12]
    return home() / "datasets" / dataset / "packed" / name


def settings_key(settings: Mapping[str, Any]) -> bytes:
    """Return settings as bytes, with which the digest of a dataset begins; no bytes for a dataset without settings."""
    return json.dumps(settings, sort_keys=True).encode() if settings else b""


def packed_copies(dataset: str, split: str | None = None) -> list[PackedCopy]:
    """Return the packed copies of a dataset, or of one split, that have a readable record; the newest first."""
    found = []
    for path in (home() / "datasets" / dataset / "packed").glob("[!.]*"):
        copy = read_copy(path)
        if copy is not None and copy.dataset == dataset and split in (None, copy.split):
            found.append(copy)
    return sorted(found, key=lambda copy: copy.time, reverse=True)


def read_record(path: Path) -> Any:
    """Return the contents of a packed copy's pack.json. Raises OSError, ValueError, RecursionError."""
    return read_json(path / "pack.json", MAX_RECORD_BYTES)


def read_copy(path: Path) -> PackedCopy | None:
    """Read the record of a packed copy, None if it is damaged or of another format."""
    try:
        record = read_record(path)
        if record["format"] != FORMAT:
            return None
        return PackedCopy(
            path=path,
            dataset=str(record["dataset"]),
            split=str(record["split"]),
            settings=dict(record["settings"]),
            folder=None if record["folder"] is None else Path(record["folder"]),
            time=str(record["time"]),
            digest=str(record["digest"]),
            sources=tuple(
                {"path": str(source["path"]), "size": source["size"], "mtime_ns": source["mtime_ns"]}
                for source in record["sources"]
            ),
            num=int(record["shape"][0]),
        )
    except (OSError, ValueError, KeyError, TypeError, IndexError, RecursionError):
        return None


def stat_of(path: Path) -> dict[str, int]:
    """Return a file's size and modification time. Raises OSError."""
    status = os.stat(path)  # noqa: PTH116 - one system call
    return {"size": status.st_size, "mtime_ns": status.st_mtime_ns}


def is_current(source: Mapping[str, Any], may_be_gone: bool) -> bool:
    """Whether a source file has the size and time that a record states."""
    try:
        return stat_of(Path(source["path"])) == {"size": source["size"], "mtime_ns": source["mtime_ns"]}
    except (FileNotFoundError, NotADirectoryError):
        return may_be_gone
    except (OSError, ValueError):  # such as a file that may not be read any more, or a path with a NUL
        return False
