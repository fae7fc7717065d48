"""`ganzoo rm`."""

from __future__ import annotations

from ganzoo.cli.options import Json, References, Yes
from ganzoo.cli.output import confirm, human_size, out


def rm(references: References, yes: Yes = False, json: Json = False) -> None:
    """Delete weights from the store.

    Copies that are bundled with a package stay.
    """
    from ganzoo.sources import location, remove, stored
    from ganzoo.weights.manifest import WeightsEntry, Zoo

    entries = [stored(reference) for reference in references]
    names = ", ".join(str(entry.reference) for entry in entries)
    confirm(f"Delete {names} from the store?", f"not deleting {names}", yes)
    freed = {str(entry.reference): remove(entry, Zoo().entries) for entry in entries}
    if json:
        out.json({"weights": [{"reference": name, "freed": size} for name, size in freed.items()]})
        return
    for entry in entries:
        size = freed[str(entry.reference)]
        bundled = isinstance(entry, WeightsEntry) and location(entry) == "bundled"
        rest = "; the bundled copy stays" if bundled else ""
        out.talk(f"{entry.reference}: {f'freed {human_size(size)}' if size else 'was not in the store'}{rest}")
