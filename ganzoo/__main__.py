"""The program: `ganzoo`, and `python -m ganzoo`, which torchrun needs."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import Any


def main() -> None:
    """Run the command line, or print completions where a shell asks for them."""
    from ganzoo import completion

    if completion.VARIABLE in os.environ:
        completion.main(sys.argv[1:], _command_tree)
        return
    from ganzoo.cli import main as run

    run()


def _command_tree() -> Mapping[str, Any]:
    from ganzoo.cli import app
    from ganzoo.cli.completion import command_tree

    return command_tree(app)


if __name__ == "__main__":
    main()
