"""`ganzoo rm`."""

from __future__ import annotations

from ganzoo.cli.options import Json, References, Yes
from ganzoo.cli.output import confirm, human_size, out


def rm(references: References, yes: Yes = False, json: Json = False) -> None:
    """Delete weights from the store.

    Copies that are bundled with a package stay.
    """
    from ganzoo.sources import remove, stored

    sources = [stored(reference) for reference in references]
    names = ", ".join(source.reference for source in sources)
    confirm(f"Delete {names} from the store?", f"not deleting {names}", yes)
    removed = remove(sources)
    if json:
        out.json({"weights": [{"reference": one.reference, "freed": one.freed} for one in removed]})
        return
    for one in removed:
        parts = [f"freed {human_size(one.freed)}"] if one.was_stored else ["was not in the store"]
        if one.shared_with:
            parts.append(f"kept: shared with {', '.join(one.shared_with)}")
        if one.is_bundled:
            parts.append("the bundled copy stays")
        out.talk(f"{one.reference}: {'; '.join(parts)}")
