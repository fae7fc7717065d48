"""Benchmark every recipe and the start of the program on this machine, and append the rows to CSV files.

    python docs/benchmarks/run.py FILE.csv DATA [--recipe NAME]... [--seconds 5] [--with-evaluation] [--device auto]

DATA is a folder with the files of all datasets, or with one folder for each. Recipes without data there are reported
and skipped. Start-up times go to `startup.csv` beside FILE.csv, unless recipes are named.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

from ganzoo.registry import recipes


def bench(*arguments: str | Path) -> None:
    """Run `ganzoo bench`, which prints its own errors."""
    print("$ ganzoo bench", *arguments, file=sys.stderr, flush=True)
    subprocess.run([sys.executable, "-m", "ganzoo", "bench", *map(str, arguments)], check=False)


def main() -> None:
    """Run the benchmarks."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("--recipe", action="append")
    parser.add_argument("--seconds", default="5")
    parser.add_argument("--with-evaluation", action="store_true")
    parser.add_argument("--device", default="auto")
    arguments = parser.parse_args()
    options = ["--csv", arguments.file, "--seconds", arguments.seconds, "--device", arguments.device]
    options += ["--with-evaluation"] if arguments.with_evaluation else []
    for name in arguments.recipe or recipes:
        bench(name, *options, "--data-dir", arguments.data)
    if not arguments.recipe:
        bench("--startup", "--csv", arguments.file.with_name("startup.csv"))


if __name__ == "__main__":
    main()
