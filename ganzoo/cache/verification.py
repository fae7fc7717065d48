"""Every checksum of the store, and what can be done about damage."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ganzoo.cache.contents import Item, contents
from ganzoo.cache.removal import delete, delete_item, held
from ganzoo.data.location import PackedCopy, read_record
from ganzoo.errors import GanzooError
from ganzoo.hub.records import rebuild_record
from ganzoo.registry import datasets
from ganzoo.system.files import open_regular, read_json
from ganzoo.system.shell import quoted
from ganzoo.system.workers import num_cores
from ganzoo.weights.store import Store, store_errors


@dataclass(frozen=True)
class Damage:
    """One thing that is not as it was written."""

    name: str
    """As in `ganzoo cache ls`."""
    path: Path
    problem: str
    hint: str
    """How to repair it."""
    repaired: str | None = None
    """What was done about it; None while it is damaged."""


def verify_store(*, repair: bool = False, report: Callable[[Item], None] = lambda _: None) -> Iterator[Damage]:
    """Hash weights, packed data and features, read every record, and yield what is damaged.

    Args:
        repair: pull damaged weights again, rebuild records from what can be read of them, pack data again, and delete
            features, which are computed again when they are needed.
        report: called with each item before it is read.

    Downloaded datasets and the weights of extractors are verified by their plugins when they are read.
    Raises StoreError.
    """
    store, hashed = Store(), set[str]()
    for item in contents().items:
        report(item)
        if item.kind == "weights":
            yield from _damaged_weights(item, store, hashed, repair)
        elif item.kind == "records":
            yield _damaged_record(item, store, repair)
        else:
            problem = _problem_of(item)
            if problem is not None:
                yield _remade(item, problem, repair)


def _damaged_weights(item: Item, store: Store, hashed: set[str], repair: bool) -> Iterator[Damage]:
    """Yield the damaged files of weights; those that are missing are downloaded when they are needed."""
    for file in item.files:
        path = store.path(file)
        if file.sha256 in hashed or not os.path.lexists(path):
            continue
        hashed.add(file.sha256)
        problem = _problem_of_blob(path, file.sha256)
        if problem is None:
            continue
        hint, failure = f"ganzoo pull {item.name}", None
        if repair:
            if path.is_symlink() or not path.is_file():  # a pull replaces files
                with store_errors(store.root):
                    delete(path)
            failure = _pull(item.name)
        if failure is not None:
            hint += f" (failed: {failure})"
        is_repaired = repair and failure is None
        yield Damage(item.name, path, f"{file.path}: {problem}", hint, "pulled again" if is_repaired else None)


def _problem_of_blob(path: Path, sha256: str) -> str | None:
    """Say what is wrong with a blob; None for a regular file with the right bytes."""
    if path.is_symlink():
        return "it is a link, not a file"
    try:
        found = _sha256_of(path)
    except OSError as error:
        return f"it cannot be read ({error.strerror})"
    return None if found == sha256 else "its bytes are not those that were stored"


def _sha256_of(path: Path) -> str:
    """Hash a regular file. Raises OSError."""
    digest = hashlib.sha256()
    with open_regular(path) as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _pull(reference: str) -> str | None:
    """Pull weights again, and return why that failed."""
    from ganzoo.sources import pull

    try:
        pull(reference)
    except GanzooError as error:
        return str(error).rstrip(".")
    return None


def _damaged_record(item: Item, store: Store, repair: bool) -> Damage:
    """Rebuild the record of a repository, or ask the Hub again."""
    reference = f"hf:{item.path.stem.replace('--', '/', 1)}"
    hint = f"ganzoo pull {quoted(reference)}; or, to forget the repository: ganzoo cache rm {item.name}"
    problem, repaired = "it cannot be read, or is not the record of a pull", None
    if repair:
        with store_errors(store.root), held(item.lock) as is_held:
            if is_held and rebuild_record(item.path):
                repaired = "rebuilt from what could be read of it"
        if repaired is None:
            failure = _pull(reference)
            if failure is None:
                repaired = "pulled again"
            else:
                hint += f" (pulling failed: {failure})"
    return Damage(item.name, item.path, problem, hint, repaired)


def _problem_of(item: Item) -> str | None:
    """Say what is wrong with packed data, features, or a blob of no weights."""
    if item.kind == "data" and item.path.parent.name == "packed" and not item.path.name.startswith("."):
        return _problem_of_pack(item)
    if item.kind == "features":
        return _problem_of_features(item.path)
    if item.path.parent.name == "blobs" and not item.path.name.startswith("."):
        return _problem_of_blob(item.path, item.path.name)
    return None


def _problem_of_pack(item: Item) -> str | None:
    from ganzoo.data.pack import digest_of_pack

    if item.copy is None:
        return item.unneeded
    try:
        names = read_record(item.path)["arrays"]
        found = digest_of_pack(item.path, names, item.copy.settings)
    except (OSError, ValueError, KeyError, TypeError) as error:
        return f"it cannot be read ({type(error).__name__})"
    return None if found == item.copy.digest else "its samples are not those that were packed"


def _problem_of_features(path: Path) -> str | None:
    try:
        for name, sha256 in read_json(path / "record.json")["files"].items():
            if _sha256_of(path / f"{name}.npy") != sha256:
                return f"{name}.npy is not what was written"
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        return f"it cannot be read ({type(error).__name__})"
    return None


def _remade(item: Item, problem: str, repair: bool) -> Damage:
    """Pack data again, and delete what is computed again when it is needed."""
    hint, repaired = f"ganzoo cache rm {quoted(item.name)}", None
    if item.copy is not None and item.copy.folder is not None:
        hint = f"Check the files in {item.copy.folder}, and run this with --repair; or: {hint}"
        failure = _pack_again(item.copy) if repair else None
        done = "packed again"
    else:
        failure = delete_item(item).kept if repair else None
        done = "deleted; it is made again when it is needed"
    if failure is not None:
        hint += f" (failed: {failure})"
    elif repair:
        repaired = done
    return Damage(item.name, item.path, problem, hint, repaired)


def _pack_again(copy: PackedCopy) -> str | None:
    """Pack a split from the folder that it was packed from, and return why that failed."""
    from ganzoo.data import open_dataset
    from ganzoo.data.settings import configured

    try:
        dataset = configured(datasets.get(copy.dataset), copy.settings, str(copy.path))
        open_dataset(dataset, copy.split, copy.folder, workers=num_cores(), force=True)
    except GanzooError as error:
        return str(error).rstrip(".")
    return None
