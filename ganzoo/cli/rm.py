"""`ganzoo rm`."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ganzoo.cli.options import Json, References, Yes
from ganzoo.cli.output import confirm, out
from ganzoo.units import human_size

if TYPE_CHECKING:
    from ganzoo.sources import Removed


def rm(references: References, yes: Yes = False, json: Json = False) -> None:
    """Delete weights from the store.

    Copies that are bundled with a package stay. `ganzoo cache rm` deletes data, too.
    """
    from ganzoo.sources import remove, stored

    sources = [stored(reference) for reference in references]
    names = ", ".join(source.reference for source in sources)
    confirm(f"Delete {names} from the store?", f"not deleting {names}", yes)
    removed = remove(sources)
    if json:
        rows = [
            {"reference": one.reference, "freed": one.freed, "kept": one.kept, "shared_with": one.shared_with}
            for one in removed
        ]
        out.json({"weights": rows})
    else:
        show_removed(removed)


def show_removed(removed: Sequence[Removed]) -> None:
    """Say what was freed of weights, what was kept, and how to free that too."""
    for one in removed:
        if not one.was_stored:
            parts = ["was not in the store"]
        elif one.freed or one.kept:
            parts = [f"freed {human_size(one.freed)}"]
        else:
            parts = ["its files were freed with those of the others"]
        if one.shared_with:
            others = ", ".join(one.shared_with)
            command = shlex.join(["ganzoo", "rm", one.reference, *one.shared_with])
            parts.append(f"{human_size(one.kept)} kept: shared with {others}. To free them: {command}")
        if one.is_bundled:
            parts.append("the bundled copy stays")
        out.talk(f"{one.reference}: {'; '.join(parts)}")
