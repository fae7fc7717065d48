"""`ganzoo pull`."""

from __future__ import annotations

from ganzoo.cli.options import Json, References
from ganzoo.cli.output import human_size, out


def pull(references: References, json: Json = False) -> None:
    """Put weights into the store, every byte verified; prints where the generator's file is."""
    from ganzoo.zoo import find_named, pull

    pulled = [pull(find_named(reference)) for reference in references]
    for one in pulled:
        state = "already in the store, verified" if not one.copied else f"verified, {human_size(one.entry.size)}"
        out.talk(f"{one.entry.reference}: {state}")
        if not json:
            out.line(one.path)
    if json:
        out.json(
            [
                {
                    "reference": str(one.entry.reference),
                    "path": str(one.path),
                    "sha256": one.entry.file("generator").sha256,
                    "size": one.entry.size,
                    "files_written": one.copied,
                }
                for one in pulled
            ]
        )
    if pulled:
        name = pulled[0].entry.name
        out.talk(f"Next: ganzoo sample {name} --out {name}.png")
