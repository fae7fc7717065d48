"""How fast a folder of pictures is packed, in how much memory, and what becomes of a folder with everything wrong.

    python docs/benchmarks/folder.py [--photos 200] [--files 100000] [--workers 2]

The first part writes photographs of 12 megapixels and packs them at 64 pixels with one process, beside the loop that
tutorials write: torchvision's ImageFolder with Resize and CenterCrop. The second writes `files` small pictures, and
among them what real folders have: truncated, empty and huge files (40,000 × 40,000 pixels), text called .jpg, links
that loop, names in every script, a picture that changes while it is packed. Prints images per second of processor time,
the largest resident memory of all processes together, and how many files were skipped, and why.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import struct
import subprocess
import sys
import tempfile
import time
import zlib
from collections import Counter
from pathlib import Path

import numpy as np
from PIL import Image

WIDTH, HEIGHT = 4000, 3000


def photograph(seed: int) -> bytes:
    """Return a JPEG of 12 megapixels with smooth areas and sensor noise, about 2 MB."""
    random = np.random.default_rng(seed)
    smooth = Image.fromarray(random.integers(0, 255, (60, 80, 3), np.uint8)).resize((WIDTH, HEIGHT))
    noise = random.normal(0, 4, (HEIGHT, WIDTH, 1)).astype(np.int16)
    buffer = io.BytesIO()
    Image.fromarray((np.asarray(smooth) + noise).clip(0, 255).astype(np.uint8)).save(buffer, "JPEG", quality=85)
    return buffer.getvalue()


def write_photographs(root: Path, num: int) -> None:
    """Write `num` photographs into one class folder, eight different ones in turn."""
    contents = [photograph(seed) for seed in range(min(num, 8))]
    (root / "photos").mkdir()
    for index in range(num):
        (root / "photos" / f"{index:05}.jpg").write_bytes(contents[index % len(contents)])


def huge_png(path: Path, side: int) -> None:
    """Write a real PNG with side × side pixels of one bit, row by row."""
    pack = zlib.compressobj(1)
    data = b"".join([*(pack.compress(bytes(1 + side // 8)) for _ in range(side)), pack.flush()])
    with path.open("wb") as file:
        file.write(b"\x89PNG\r\n\x1a\n")
        for kind, chunk in [
            (b"IHDR", struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)),
            (b"IDAT", data),
            (b"IEND", b""),
        ]:
            file.write(struct.pack(">I", len(chunk)) + kind + chunk + struct.pack(">I", zlib.crc32(kind + chunk)))


def write_hell(root: Path, num: int) -> None:
    """Write `num` small pictures in folders named in several scripts, and everything else that folders have."""
    random = np.random.default_rng(0)
    small = []
    for index in range(64):
        buffer = io.BytesIO()
        Image.fromarray(random.integers(0, 255, (32, 32, 3), np.uint8)).save(buffer, "PNG" if index % 2 else "JPEG")
        small.append(buffer.getvalue())
    for start, name in enumerate(("cats", "写真", "صور", "चित्र", "🐈")):
        for index in range(start, num, 5):
            folder = root / name / str(index // 5000)
            if index % 5000 < 5:
                folder.mkdir(parents=True, exist_ok=True)
            (folder / f"{index:06}.{'png' if index % 2 else 'jpg'}").write_bytes(small[index % 64])
    bad = root / "bad"
    bad.mkdir()
    (bad / "empty.png").touch()
    (bad / "text.jpg").write_text("I am a text.")
    (bad / "truncated.jpg").write_bytes(photograph(0)[:500_000])
    huge_png(bad / "huge.png", 40_000)
    (bad / "loop").symlink_to(root)
    grey = Image.fromarray(random.integers(0, 65535, (500, 500), np.uint16))
    grey.save(bad / "16-bit.png")
    Image.new("CMYK", (500, 500), (10, 20, 30, 40)).save(bad / "cmyk.jpg")
    Image.new("RGBA", (7000, 7000), (10, 20, 30, 100)).save(bad / "transparent.png", compress_level=1)
    frames = [Image.new("P", (64, 64), index) for index in range(4)]
    frames[0].save(bad / "animated.gif", save_all=True, append_images=frames[1:])
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (500, 300)).save(bad / "rotated.jpg", exif=exif)


def resident(process: int) -> int:
    """Return the resident bytes of a process and its children. Libraries that they share are counted for each."""
    total = 0
    try:
        for line in Path(f"/proc/{process}/smaps_rollup").read_text().splitlines():
            if line.startswith("Rss:"):
                total += int(line.split()[1]) * 1024
        for task in Path(f"/proc/{process}/task").iterdir():
            for child in (task / "children").read_text().split():
                total += resident(int(child))
    except OSError:  # it ended meanwhile
        pass
    return total


def pack(root: Path, home: Path, workers: int, meddle: Path | None = None) -> None:
    """Pack a folder with the command line, and print what it took. `meddle` is rewritten while it runs."""
    command = [sys.executable, "-m", "ganzoo", "data", "prepare", "folder", "--json"]
    begin, before = time.perf_counter(), os.times()
    process = subprocess.Popen(
        [*command, "--data-dir", str(root), "--workers", str(workers)],
        env={**os.environ, "GANZOO_HOME": str(home)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    largest = 0
    while process.poll() is None:
        largest = max(largest, resident(process.pid))
        if meddle is not None and any(home.rglob("journal.json")):
            meddle.write_bytes(meddle.read_bytes() + b"more")
            meddle = None
        time.sleep(0.2)
    document, errors = process.communicate()
    if process.returncode:
        sys.exit(errors)
    after = os.times()
    (row,) = json.loads(document)["splits"]
    seconds = after.children_user + after.children_system - before.children_user - before.children_system
    num = row["samples"] + row["skipped"]
    print(f"{num:,} files in {time.perf_counter() - begin:.0f} s, {num / seconds:,.0f} per second of processor time,")
    print(f"  {largest / 1e6:,.0f} MB in all processes together, {row['skipped']} skipped:")
    for listed in home.rglob("skipped.txt"):
        reasons = Counter(line.rpartition(": ")[2] for line in listed.read_text().splitlines())
        for reason, count in reasons.items():
            print(f"  {count:,} {reason}")


def plain_loop(root: Path) -> None:
    """Print the speed of torchvision's ImageFolder on the photographs."""
    from torchvision import transforms
    from torchvision.datasets import ImageFolder

    steps = transforms.Compose([transforms.Resize(64), transforms.CenterCrop(64), transforms.ToTensor()])
    images = ImageFolder(str(root), steps)
    num, begin = min(len(images), 40), time.process_time()
    for index in range(num):
        _ = images[index]
    print(f"ImageFolder: {num / (time.process_time() - begin):,.0f} photographs per second of processor time")


def main() -> None:
    """Run both parts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=int, default=200)
    parser.add_argument("--files", type=int, default=100_000)
    parser.add_argument("--workers", type=int, default=2)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as work:
        photos, hell = Path(work, "photographs"), Path(work, "hell")
        photos.mkdir()
        hell.mkdir()
        write_photographs(photos, arguments.photos)
        pack(photos, Path(work, "home-1"), 1)
        plain_loop(photos)
        write_hell(hell, arguments.files)
        last = hell / "🐈" / str((arguments.files - 1) // 5000)
        pack(hell, Path(work, "home-2"), arguments.workers, max(last.iterdir()))


if __name__ == "__main__":
    main()
