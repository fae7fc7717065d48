"""`ganzoo cache`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ganzoo.cli.options import Json, Yes
from ganzoo.cli.output import confirm, out
from ganzoo.cli.rm import show_removed
from ganzoo.units import human_size

if TYPE_CHECKING:
    from ganzoo.cache.contents import Item
    from ganzoo.cache.removal import Deleted

app = typer.Typer(
    help="Show, clean and verify the store: weights, packed data, features of real samples.", no_args_is_help=True
)


@app.command()
def ls(json: Json = False) -> None:
    """List what is in the store, with size, date and origin."""
    from ganzoo.cache.contents import KINDS, contents

    found = contents()
    if json:
        items = [_row(item) for item in found.items]
        out.json({"path": str(found.store.root), "size": found.size, "items": items})
        return
    width = max((len(item.name) for item in found.items), default=0)  # the columns of all tables are aligned
    for kind in KINDS:
        rows = [
            (item.name.ljust(width), human_size(item.size).rjust(8), f"{item.time:%Y-%m-%d}", _note(item))
            for item in found.items
            if item.kind == kind
        ]
        if rows:
            out.table("", [kind, "    size", "since", "from"], rows)
            out.line("")
    out.line(f"{human_size(found.size)} in {found.store.root}")
    spare = [item for item in found.items if item.unneeded is not None]
    if spare:
        size = human_size(sum(item.size for item in spare))
        out.talk(f"Nothing needs {size} of it: ganzoo cache prune")


def _note(item: Item) -> str:
    if item.unneeded is None:
        return item.origin
    return item.unneeded if item.kind == "leftovers" else f"{item.origin}; unneeded: {item.unneeded}"


def _row(item: Item) -> dict[str, Any]:
    return {
        "kind": item.kind,
        "name": item.name,
        "path": str(item.path),
        "size": item.size,
        "time": item.time.isoformat(timespec="seconds"),
        "origin": item.origin,
        "unneeded": item.unneeded,
    }


@app.command()
def rm(
    names: Annotated[
        list[str],
        typer.Argument(metavar="NAME...", help="Names from `ganzoo cache ls`; data:mnist is all data of MNIST."),
    ],
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Delete weights, data or features from the store.

    Files that other weights need stay, and so does what another process is writing.
    """
    from ganzoo.cache.removal import delete_item, select
    from ganzoo.sources import remove, stored

    references, items = select(names)
    sources = [stored(reference) for reference in references]
    listed = ", ".join([*(source.reference for source in sources), *(item.name for item in items)])
    confirm(f"Delete {listed} from the store?", f"not deleting {listed}", yes)
    deleted = [delete_item(item) for item in items]  # first: a damaged record would keep all weights
    removed = remove(sources)
    if json:
        weights = [{"name": one.reference, "freed": one.freed, "kept": _why(one.shared_with)} for one in removed]
        out.json({"items": [*weights, *_document(deleted)]})
        return
    show_removed(removed)
    _show(deleted)


def _why(shared_with: Sequence[str]) -> str | None:
    return f"shared with {', '.join(shared_with)}" if shared_with else None


@app.command()
def prune(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be deleted.")] = False,
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Delete what nothing needs.

    That is: what killed processes left, packed copies of files that have changed, features of data that is gone, and
    files that no weights need. It is safe while other commands run.
    """
    from ganzoo.cache import removal
    from ganzoo.cache.contents import contents

    spare = [item for item in contents().items if item.unneeded is not None]
    size = human_size(sum(item.size for item in spare))
    if dry_run and json:
        out.json({"items": [_row(item) for item in spare]})
        return
    if not json:
        if not spare:
            out.talk("Everything in the store is needed.")
            return
        rows = [(item.name, human_size(item.size), item.unneeded) for item in spare]
        out.table("", ["would be deleted" if dry_run else "unneeded", "size", "because"], rows)
    if dry_run:
        return
    if spare:
        confirm(f"Delete {size}?", f"not deleting {size}", yes)
    deleted = removal.prune()
    if json:
        out.json({"items": _document(deleted)})
        return
    _show([one for one in deleted if one.kept is not None])
    out.talk(f"Freed {human_size(sum(one.freed for one in deleted))}.")


def _document(deleted: Sequence[Deleted]) -> list[dict[str, Any]]:
    return [{"name": one.item.name, "freed": one.freed, "kept": one.kept} for one in deleted]


def _show(deleted: Sequence[Deleted]) -> None:
    for one in deleted:
        result = f"freed {human_size(one.freed)}" if one.kept is None else f"kept: {one.kept}"
        out.talk(f"{one.item.name}: {result}")


@app.command()
def verify(
    repair: Annotated[
        bool,
        typer.Option("--repair", help="Pull weights again, rebuild records, pack data again, delete features."),
    ] = False,
    json: Json = False,
) -> None:
    """Verify every checksum in the store; exit 1 if anything is damaged.

    Weights, packed data and features are read as a whole, which takes time if there is much.
    """
    from ganzoo.cache.verification import verify_store

    seen: list[Item] = []
    damaged = []
    for damage in verify_store(repair=repair, report=seen.append):
        damaged.append(damage)
        if json:
            continue
        if damage.repaired is None:
            out.problem(f"{damage.name}: {damage.problem}.", damage.hint)
        else:
            out.talk(f"{damage.name}: {damage.problem}; {damage.repaired}.")
    left = [damage for damage in damaged if damage.repaired is None]
    size = sum(item.size for item in seen)
    if json:
        out.json({"num": len(seen), "size": size, "damages": [asdict(damage) for damage in damaged]})
    elif not damaged:
        out.talk(f"All {len(seen)} items are undamaged ({human_size(size)}).")
    elif left and not repair:
        out.talk(f"Damaged: {len(left)} of {len(seen)}. To repair what can be repaired: ganzoo cache verify --repair")
    if left:
        raise typer.Exit(1)
