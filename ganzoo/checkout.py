"""Plugins of a checkout that is not installed, such as the one that torch.hub downloads."""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Iterable
from importlib.metadata import Distribution, DistributionFinder
from pathlib import Path
from typing import Any

from ganzoo.version import __version__


class _Checkout(Distribution):
    """The distribution that `pip install` would make of a checkout: its name, version and entry points."""

    def __init__(self, root: Path) -> None:
        project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        # What pip writes to entry_points.txt: an INI file with a section for each group.
        lines = []
        for group, entries in project["entry-points"].items():
            lines += [f"[{group}]", *(f"{name} = {value}" for name, value in entries.items())]
        self._files = {
            "METADATA": f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {__version__}\n",
            "entry_points.txt": "\n".join(lines),
        }

    def read_text(self, filename: str) -> str | None:
        """Return a metadata file."""
        return self._files.get(filename)

    def locate_file(self, path: Any) -> Any:
        """Refuse: there are no installed files."""
        raise FileNotFoundError(path)


class _Finder(DistributionFinder):
    """Makes importlib.metadata find one distribution."""

    def __init__(self, distribution: Distribution) -> None:
        self._distribution = distribution

    def find_spec(self, *_: Any) -> None:
        """Find no modules: sys.path does that."""
        return

    def find_distributions(self, context: DistributionFinder.Context | None = None) -> Iterable[Distribution]:
        """Return the checkout, unless another distribution is asked for by name."""
        name = context.name if context is not None else None
        return [self._distribution] if name in (None, "ganzoo") else []


def register_checkout(root: Path) -> None:
    """Make the entry points of a checkout's pyproject.toml visible to the registry."""
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        # importlib.metadata asks every finder here that has `find_distributions`.
        sys.meta_path.append(_Finder(_Checkout(root)))
