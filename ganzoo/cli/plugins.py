"""`ganzoo plugins`."""

from __future__ import annotations

import typer

from ganzoo.cli.options import Json
from ganzoo.cli.output import out
from ganzoo.registry import REGISTRIES

app = typer.Typer(help="Plugins: which are installed, and what they register.", no_args_is_help=True)


@app.command("list")
def list_(json: Json = False) -> None:
    """List the distributions that register something; imports none of them."""
    registered: dict[str, list[str]] = {}
    for registry in REGISTRIES:
        for name, origins in registry.origins().items():
            for origin in origins:
                registered.setdefault(str(origin), []).append(f"{registry.kind} {name}")
    if json:
        out.json(registered)
    else:
        out.table("", ["plugin", "registers"], [(name, ", ".join(what)) for name, what in sorted(registered.items())])
