"""Print the lowest versions that pyproject.toml allows, as constraints for pip.

    python tools/lowest.py >lowest.txt && pip install -e ".[dev]" -c lowest.txt

The lowest series of each, such as `torch==2.6.*`: its first release may have been withdrawn.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

PROJECT = tomllib.loads((Path(__file__).parent.parent / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def lowest() -> list[str]:
    """Return a constraint for every dependency, those of all extras included. Raises ValueError without a bound."""
    extras = PROJECT["optional-dependencies"]
    constraints = []
    for requirement in [*PROJECT["dependencies"], *(one for extra in extras.values() for one in extra)]:
        if requirement.startswith(f"{PROJECT['name']}["):  # an extra that takes others in
            continue
        bound = re.fullmatch(r"([\w-]+)(?:\[[\w,-]+\])?>=(\d+)(?:\.(\d+))?(,<\d+)?", requirement)
        if bound is None:
            raise ValueError(f"{requirement!r} is not of the form name>=1.2 or name>=1.2,<3")
        constraints.append(f"{bound[1]}=={bound[2]}.{bound[3] or 0}.*")
    return constraints


if __name__ == "__main__":
    print("\n".join(lowest()))
