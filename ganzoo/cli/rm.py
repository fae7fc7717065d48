"""`ganzoo rm`."""

from __future__ import annotations

from ganzoo.cli.confirmation import confirm
from ganzoo.cli.options import Json, References, Yes
from ganzoo.cli.output import human_size, out


def rm(references: References, yes: Yes = False, json: Json = False) -> None:
    """Delete weights from the store; bundled copies stay."""
    from ganzoo.sources import remove, stored

    sources = [stored(reference) for reference in references]
    confirm(f"Delete {', '.join(source.reference for source in sources)} from the store?", yes)
    removed = remove(sources)
    if json:
        out.json({"freed": {one.reference: one.freed for one in removed}})
        return
    for one in removed:
        parts = [f"freed {human_size(one.freed)}"] if one.was_stored else ["was not in the store"]
        if one.shared_with:
            parts.append(f"kept: shared with {', '.join(one.shared_with)}")
        if one.is_bundled:
            parts.append("the bundled copy stays")
        out.talk(f"{one.reference}: {'; '.join(parts)}")
