"""Compare the public API with the last release: print what would break callers, and exit 1 if anything would.

    python tools/api.py [TAG]

The public API is what `ganzoo` exports, and the modules that docs/plugins.md lists. Without a tag there is nothing to
compare with.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import griffe

ROOT = Path(__file__).parent.parent
PUBLIC_MODULES = ("deferred", "distances", "errors", "losses", "metrics", "optimizers", "specs", "spectral", "testing")
"""Modules of ganzoo that plugins may import, beside what `ganzoo` itself exports."""


def main(arguments: list[str]) -> int:
    """Compare and report; return the exit code."""
    tag = arguments[0] if arguments else last_tag(ROOT)
    if tag is None:
        print("public API: no release to compare with")
        return 0
    found = list(breakages(ROOT, tag))
    print(f"public API: {len(found)} incompatible changes since {tag}", *found, sep="\n")
    return int(bool(found))


def last_tag(root: Path) -> str | None:
    """Return the newest tag that HEAD contains."""
    command = ["git", "-C", str(root), "describe", "--tags", "--abbrev=0"]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    return found.stdout.strip() or None


def breakages(root: Path, tag: str) -> Iterator[str]:
    """Yield a line for each incompatible change of the public API since a tag."""
    old = griffe.load_git("ganzoo", ref=tag, repo=root)
    new = griffe.load("ganzoo", search_paths=[root], try_relative_path=False)
    public = {f"ganzoo.{module}" for module in PUBLIC_MODULES}
    for name in old.exports or ():
        public |= {f"ganzoo.{name}", old[str(name)].canonical_path}
    seen = set()
    for breakage in griffe.find_breaking_changes(old, new):
        # A class is found where it is defined and where it is exported: once is enough.
        key = (breakage.kind, breakage.obj.canonical_path, str(breakage.old_value))
        if key not in seen and any(is_inside(path, public) for path in (breakage.obj.path, key[1])):
            seen.add(key)
            yield f"{breakage.obj.path}: {breakage.kind.value}: {breakage.old_value} -> {breakage.new_value}"


def is_inside(path: str, public: set[str]) -> bool:
    """Whether a dotted path is one of those, or inside of it."""
    return any(path == name or path.startswith(f"{name}.") for name in public)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
