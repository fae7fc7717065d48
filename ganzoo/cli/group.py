"""The first screen: which commands `ganzoo --help` shows, and other names for them."""

from __future__ import annotations

import difflib
import os
import shutil
import sys
from textwrap import wrap
from typing import Any

import typer
from typer.core import TyperGroup

from ganzoo.cli.examples import examples

USE, TRAIN, SHARE, MORE = "Use", "Train", "Share", "More"

DESCRIBED = (USE, TRAIN)
"""Groups of `ganzoo --help` that have a line for each command; of the others, only the names are shown."""

ALIASES = {
    "delete": "rm",
    "download": "pull",
    "evaluate": "eval",
    "generate": "sample",
    "info": "show",
    "ls": "list",
    "neighbors": "neighbours",
    "remove": "rm",
    "upload": "push",
}
"""What other programs call a command -> its name here. They work, and are not listed."""

SUGGESTIONS = {
    "architectures": "list architectures",
    "datasets": "list datasets",
    "metrics": "list metrics",
    "models": "list models",
    "new": "plugins new",
    "new-plugin": "plugins new",
    "plugin": "plugins list",
    "recipes": "list recipes",
    "search": "list --hub",
}
"""Words that are tried as commands -> what to type instead."""

OPTIONS = {
    "--count": "--num",
    "--cpu": "--device cpu",
    "--cuda": "--device cuda",
    "--gpu": "--device cuda",
    "--learning-rate": "--lr",
    "--n": "--num",
    "--num-samples": "--num",
    "--output": "--out",
    "--output-dir": "--out",
    "--run-dir": "--out",
    "--save-dir": "--out",
}
"""What other programs call an option -> what to type instead, where the command has that option."""

FIRST_STEPS = (
    ("ganzoo sample mnist-mlp", "handwritten digits, drawn in this terminal"),
    ("ganzoo train photos/", "your own pictures; for a first try: quadratic-mlp"),
)


class MainGroup(TyperGroup):
    """The program itself: its help fits 80×24, and it takes the names of ALIASES."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        for name, command in self.commands.items():
            command.epilog = command.epilog or examples(name)
            for inner_name, inner in getattr(command, "commands", {}).items():
                inner.epilog = inner.epilog or examples(f"{name} {inner_name}")

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return a command by its name or another one, in any case."""
        folded = cmd_name.lower()
        return self.commands.get(folded) or self.commands.get(ALIASES.get(folded, folded))

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Find the command; the error for an unknown one says what to type instead."""
        if args and self.get_command(ctx, args[0]) is None and not args[0].startswith("-"):
            known = {**{name: name for name in self.commands if name not in self._hidden()}, **ALIASES, **SUGGESTIONS}
            close = difflib.get_close_matches(args[0].lower(), known, n=1)
            guess = f" Did you mean 'ganzoo {known[close[0]]}'?" if close else ""
            ctx.fail(f"No such command {args[0]!r}.{guess}")
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        """Run the command; the error for an unknown option names the one that was probably meant."""
        try:
            return super().invoke(ctx)
        except Exception as error:
            if hasattr(error, "possibilities"):  # NoSuchOption, which typer does not export
                _suggest_option(error)
            raise

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the first screen: the main commands with a line each, the names of the others, first steps."""
        width = min(shutil.get_terminal_size().columns, 100)
        panels: dict[str, list[str]] = {USE: [], TRAIN: [], SHARE: [], MORE: []}
        for name, command in self.commands.items():
            if not command.hidden:
                panel = getattr(command, "rich_help_panel", None)
                panels[panel if panel in panels else MORE].append(name)
        lines = [self.help or "", f"Usage: {_strong('ganzoo COMMAND [OPTIONS]')}", ""]
        for panel, names in panels.items():
            if panel in DESCRIBED:
                rows = [
                    f"{_strong(name.ljust(12))}{self.commands[name].get_short_help_str(width - 20)}" for name in names
                ]
            else:
                rows = wrap(", ".join(sorted(names)), width - 8)
            heads = [panel, *[""] * (len(rows) - 1)]
            lines += [f"{_strong(head.ljust(8))}{row}" for head, row in zip(heads, rows, strict=False)]
        lines += ["", "Options -q (print errors only), --version, -h. `ganzoo COMMAND -h` has examples.", ""]
        lines += [f"  {command.ljust(28)}{about}" for command, about in FIRST_STEPS]
        formatter.write("\n".join(lines) + "\n")

    def _hidden(self) -> set[str]:
        return {name for name, command in self.commands.items() if command.hidden}


def _suggest_option(error: Any) -> None:
    """Let the error for an unknown option name the one of OPTIONS, if the command has it."""
    instead = OPTIONS.get(error.option_name, "")
    if any(instead.split(" ")[0] in param.opts for param in error.ctx.command.params):
        error.possibilities = [instead]


def _strong(text: str) -> str:
    """Return a text in bold, if stdout is a terminal that shows it."""
    plain = not sys.stdout.isatty() or os.environ.get("TERM") == "dumb" or not text.strip()
    return text if plain else typer.style(text, bold=True)
