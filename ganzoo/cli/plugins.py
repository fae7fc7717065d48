"""`ganzoo plugins`."""

from __future__ import annotations

from collections import defaultdict

import typer

from ganzoo.cli.options import Json
from ganzoo.cli.output import out
from ganzoo.registry import REGISTRIES, Origin

app = typer.Typer(help="List plugins.", no_args_is_help=True)


@app.command("list")
def list_(json: Json = False) -> None:
    """List the installed plugins and what they register."""
    registered: dict[Origin, list[tuple[str, str]]] = defaultdict(list)
    for registry in REGISTRIES:
        for name, origins in registry.origins().items():
            for origin in origins:
                registered[origin].append((registry.kind, name))
    plugins = sorted(registered.items(), key=lambda item: str(item[0]))
    if json:
        documents = [
            {
                "name": origin.distribution,
                "version": origin.version,
                "registers": [{"kind": kind, "name": name} for kind, name in specs],
            }
            for origin, specs in plugins
        ]
        out.json({"plugins": documents})
    else:
        rows = [(origin, ", ".join(f"{kind} {name}" for kind, name in specs)) for origin, specs in plugins]
        out.table("", ["plugin", "registers"], rows)
