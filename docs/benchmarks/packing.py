"""How fast MJSynth is packed from the official folder, in how much memory, and whether packing continues after a kill.

    python docs/benchmarks/packing.py FOLDER [--num 200000] [--workers 1]

FOLDER contains real images at any depth. They are copied repeatedly into a temporary folder with the official layout
and `num` files. Prints images per second of wall-clock and processor time, the largest resident set of any process,
and the digests of an uninterrupted packing and of one that was killed twice.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from itertools import cycle, islice
from pathlib import Path


def make_official(source: Path, root: Path, num: int) -> None:
    """Write `num` files into root/<i>/<j>/, 400 in each, and their list."""
    images = [(path.name.partition("_")[2], path.read_bytes()) for path in sorted(source.rglob("*.jpg"))]
    with (root / "annotation_train.txt").open("w") as listed:
        for number, (name, content) in enumerate(islice(cycle(images), num)):
            folder = f"{number // 2800 + 1}/{number // 400 % 7 + 1}"
            if number % 400 == 0:
                (root / folder).mkdir(parents=True)
            (root / folder / f"{number % 400 + 1}_{name}").write_bytes(content)
            listed.write(f"./{folder}/{number % 400 + 1}_{name} 0\n")


def start(root: Path, home: Path, workers: int) -> subprocess.Popen[str]:
    """Start `ganzoo data prepare` with a store of its own."""
    command = [sys.executable, "-m", "ganzoo", "data", "prepare", "mjsynth", "--json"]
    return subprocess.Popen(
        [*command, "--data-dir", str(root), "--workers", str(workers)],
        env={**os.environ, "GANZOO_HOME": str(home)},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )


def digest(process: subprocess.Popen[str]) -> str:
    """Wait for the packing and return what it made."""
    document, _ = process.communicate()
    return str(json.loads(document)["splits"][0]["digest"])


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--num", type=int, default=200_000)
    parser.add_argument("--workers", type=int, default=1)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        root, home = Path(name, "90kDICT32px"), Path(name)
        root.mkdir()
        make_official(arguments.folder, root, arguments.num)

        started = time.perf_counter()
        process = start(root, home / "whole", arguments.workers)
        assert process.stdout is not None
        document = process.stdout.read()
        _, _, usage = os.wait4(process.pid, 0)
        seconds, processor = time.perf_counter() - started, usage.ru_utime + usage.ru_stime
        whole = json.loads(document)["splits"][0]["digest"]
        print(f"{arguments.num / seconds:,.0f} images/s, {arguments.num / processor:,.0f} for each second of a core")
        print(f"largest process {usage.ru_maxrss / 1024:,.0f} MiB")

        for _ in range(2):
            process = start(root, home / "killed", arguments.workers)
            time.sleep(seconds / 3)
            process.send_signal(signal.SIGKILL)
            process.wait()
            (journal,) = (home / "killed").rglob("journal.json")
            print(f"killed after {json.loads(journal.read_text())['items']:,} items")
        killed = digest(start(root, home / "killed", arguments.workers))
        print(f"run through {whole[:16]}, killed twice {killed[:16]}: {'the same' if whole == killed else 'DIFFERENT'}")


if __name__ == "__main__":
    main()
