"""The table of files, and what is said about it."""

from __future__ import annotations

from pathlib import Path

from ganzoo.weights.layout import FILES, NAMES, NEEDED_ROLES

DOCUMENT = Path(__file__).parents[2] / "docs" / "hub.md"


def test_roles_are_unique_and_config_and_generator_are_needed() -> None:
    assert len(NAMES) == len(FILES)
    assert {"config", "generator"} == NEEDED_ROLES


def test_the_documentation_lists_every_file_with_its_limit() -> None:
    listed = {}
    for line in DOCUMENT.read_text(encoding="utf-8").splitlines():
        name, _, limit = line.removeprefix("| `").removesuffix(" |").partition("` |")
        if name in FILES:
            number, unit = limit.rpartition("| ")[2].split()
            listed[name] = int(number) << {"MiB": 20, "GiB": 30}[unit]
    assert listed == {name: kind.max_size for name, kind in FILES.items()}
