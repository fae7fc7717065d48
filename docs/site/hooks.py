"""Pages of the site that are not files of docs/: one for each command, and two files of the top level."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parent.parent.parent
sys.path.insert(0, str(Path(__file__).parent))

from commands import command_pages  # noqa: E402 - mkdocs loads this file by its path

TOP = ("CHANGELOG.md", "CONTRIBUTING.md")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the generated pages."""
    for path, text in command_pages().items():
        files.append(File.generated(config, path, content=text))
    for name in TOP:
        text = (ROOT / name).read_text(encoding="utf-8").replace("](docs/", "](")
        files.append(File.generated(config, name, content=text))
    return files


def on_page_markdown(markdown: str, **_: object) -> str:
    """Name files outside of docs/ instead of linking to them: a site that works offline does not hold the code."""
    markdown = re.sub(r"\]\(\.\./(CHANGELOG|CONTRIBUTING)\.md", r"](\1.md", markdown)
    return re.sub(r"\[([^\]]+)\]\((?:\.\./[^)]+|[\w/.-]+\.(?:py|csv|toml))\)", r"\1", markdown)
