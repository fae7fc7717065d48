"""Write specs.md: every contract of `ganzoo.specs`, from its source and docstrings.

$ python docs/reference/make.py
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from ganzoo import specs

HERE = Path(__file__).parent
SOURCE = Path(specs.__file__).parent
GENERATED = "<!-- Written by docs/reference/make.py; edit the docstrings in ganzoo/specs and run it again. -->"
TITLES = {
    "architectures": "Architectures",
    "datasets": "Datasets",
    "samples": "Samples and latents",
    "training": "Recipes",
    "schedules": "Numbers and schedules",
    "optimizers": "Optimizers",
    "losses": "Losses, regularizers and augmentations",
    "evaluation": "Metrics, extractors and protocols",
    "loggers": "Loggers",
    "registration": "Registration",
}
"""The modules of `ganzoo.specs`, in the order of the page."""


def main() -> None:
    """Write the page."""
    (HERE / "specs.md").write_text(page(), encoding="utf-8")


def page() -> str:
    """Return the text of specs.md."""
    parts = [
        GENERATED,
        "# Reference of the specs",
        "Everything that `ganzoo.specs` exports. All dataclasses are frozen and keyword-only; importing them does not "
        "load torch. [plugins.md](../plugins.md) explains how they are used.",
    ]
    for module, title in TITLES.items():
        parts.append(f"## {title}")
        source = (SOURCE / f"{module}.py").read_text(encoding="utf-8")
        body = ast.parse(source).body
        for index, node in enumerate(body):
            after = body[index + 1] if index + 1 < len(body) else None
            parts += entry(source, node, after)
    return "\n\n".join(parts) + "\n"


def entry(source: str, node: ast.stmt, after: ast.stmt | None) -> Iterator[str]:
    """Yield the paragraphs about a class or a constant that is exported."""
    if isinstance(node, ast.ClassDef) and node.name in specs.__all__:
        yield f"### {node.name}"
        yield prose(ast.get_docstring(node) or "")
        yield from ("\n".join(members) for members in [list(members_of(node))] if members)
    name = assigned_name(node)
    if name in specs.__all__:
        yield f"### {name}"
        yield f"```python\n{ast.get_source_segment(source, node)}\n```"
        yield prose(following_string(after))


def members_of(node: ast.ClassDef) -> Iterator[str]:
    """Yield a line for each field, method and property of a class."""
    for statement, after in zip(node.body, [*node.body[1:], None], strict=True):
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
            default = f" = {ast.unparse(statement.value)}" if statement.value is not None else ""
            signature = f"{statement.target.id}: {ast.unparse(statement.annotation)}{default}"
            yield f"- `{signature}`: {line(following_string(after))}"
        elif isinstance(statement, ast.FunctionDef) and not statement.name.startswith("_"):
            decorators = {ast.unparse(decorator) for decorator in statement.decorator_list}
            arguments = [argument for argument in statement.args.args if argument.arg != "self"]
            listed = "" if "property" in decorators else f"({', '.join(map(ast.unparse, arguments))})"
            result = ast.unparse(statement.returns) if statement.returns is not None else "None"
            separator = ": " if "property" in decorators else " -> "
            yield f"- `{statement.name}{listed}{separator}{result}`: {line(ast.get_docstring(statement) or '')}"


def assigned_name(node: ast.stmt) -> str:
    """Return the name that a statement at the top of a module defines; empty if it defines none."""
    if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
        return node.targets[0].id
    return node.target.id if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) else ""


def following_string(after: ast.stmt | None) -> str:
    """Return the string that documents the statement before it, without indentation; empty if there is none."""
    if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant) and isinstance(after.value.value, str):
        return after.value.value
    return ""


def line(text: str) -> str:
    """Put a docstring on one line; asterisks and angle brackets are not Markdown."""
    return escaped(" ".join(text.split()))


def prose(text: str) -> str:
    """Put each paragraph of a docstring on one line, but for lists and tables."""
    return "\n\n".join(
        escaped(paragraph) if paragraph.startswith(("|", "- ")) else line(paragraph)
        for paragraph in text.strip().split("\n\n")
    )


def escaped(text: str) -> str:
    """Escape what Markdown would read as emphasis or as HTML, outside of `code`."""
    parts = re.split(r"(`[^`]*`)", text)
    return "".join(part if part.startswith("`") else re.sub(r"([*<])", r"\\\1", part) for part in parts)


if __name__ == "__main__":
    main()
