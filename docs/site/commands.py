"""A page in Markdown for each command, from the program itself: what it does, its arguments and options."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from typer.main import get_command

from ganzoo.cli import app


def command_pages() -> dict[str, str]:
    """Return the file name and the text of each page; `commands.md` lists the others."""
    root = get_command(app)
    found = dict(commands_of(root, "ganzoo"))
    pages = {f"commands/{name.removeprefix('ganzoo ').replace(' ', '-')}.md": page(name, found[name]) for name in found}
    rows = [
        (f"[`{name}`]({file})", first_line(command)) for (name, command), file in zip(found.items(), pages, strict=True)
    ]
    index = ["# Commands", "", "`ganzoo COMMAND --help` prints the same.", ""]
    return {"commands.md": "\n".join([*index, *table("command", rows)]) + "\n", **pages}


def commands_of(group: Any, name: str) -> Iterator[tuple[str, Any]]:
    """Yield each command that runs something, with its full name, in the order of `--help`."""
    for word, command in group.commands.items():
        if command.hidden:
            continue
        if hasattr(command, "commands"):
            yield from commands_of(command, f"{name} {word}")
        else:
            yield f"{name} {word}", command


def page(name: str, command: Any) -> str:
    """Return the text of the page of one command."""
    arguments = [one for one in command.params if one.param_type_name == "argument"]
    options = [one for one in command.params if one.param_type_name == "option" and not one.hidden]
    usage = " ".join([name, *(["[OPTIONS]"] if options else []), *map(placeholder, arguments)])
    lines = [f"# {name}", "", *prose(command.help), "", "```text", usage, "```", ""]
    lines += table("argument", [(f"`{placeholder(one)}`", cell(one.help)) for one in arguments])
    lines += table("option", [(names(one), cell(one.help) + default(one)) for one in options])
    if command.epilog:
        lines += ["", *prose(command.epilog)]
    return "\n".join(lines) + "\n"


def table(title: str, rows: list[tuple[str, str]]) -> list[str]:
    """Return the lines of a table, and the empty one after it; none without rows."""
    if not rows:
        return []
    return [f"| {title} | |", "|---|---|", *(f"| {left} | {right} |" for left, right in rows), ""]


def prose(text: str | None) -> list[str]:
    """Return the paragraphs of a help text; commands in it are code already."""
    return (text or "").replace("\b", "").replace("<", "\\<").splitlines()


def first_line(command: Any) -> str:
    """Return the first sentence of a command's help."""
    return cell((command.help or "").strip().split("\n")[0])


def names(option: Any) -> str:
    """Return the spellings of an option, with what it takes."""
    spelled = ", ".join(f"`{name}`" for name in [*option.opts, *option.secondary_opts])
    return spelled if option.is_flag else f"{spelled} `{placeholder(option)}`"


def placeholder(parameter: Any) -> str:
    """Return what stands for the value of an argument or option, such as `REF`."""
    return str(parameter.metavar or parameter.name.upper().replace("_", "-"))


def default(option: Any) -> str:
    """Return the default in words, where the help does not say it."""
    value = option.default
    if value is None or callable(value) or isinstance(value, bool) or "default" in (option.help or ""):
        return ""
    return f" Default: `{value}`."


def cell(text: str | None) -> str:
    """Return text that may stand in a table."""
    return " ".join((text or "").split()).replace("|", "\\|").replace("<", "\\<")
