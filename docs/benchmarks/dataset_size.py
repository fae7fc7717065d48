"""Whether steps take longer, or more memory, the larger the dataset is: packed copies of MNIST, over and over.

    python docs/benchmarks/dataset_size.py --data-dir FOLDER [--images 60000 600000 6000000] [--streamed-from 6000000]

Packs the images repeated until there are so many, in a temporary folder that needs 784 bytes for each, and trains
`mnist-mlp` from each copy in a process of its own; the processes take turns. Sets from `--streamed-from` on are read
from the disk as they are needed. Prints steps per second, the same against the smallest set in each round, the most
memory that the process ever had, and the seconds that the permutation at the beginning of an epoch takes.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import statistics
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import torch

from ganzoo.bench.machine import peak_resident_set
from ganzoo.config import Layer, resolve
from ganzoo.data import open_batches, open_dataset
from ganzoo.model_config import model_config
from ganzoo.registry import datasets, recipes
from ganzoo.specs import ArrayData, DatasetSpec, StreamedData
from ganzoo.training.engine import Engine
from ganzoo.training.state import TrainingState
from ganzoo.workers import pool

CPU = torch.device("cpu")
RECIPE = recipes.get("mnist-mlp")


def repeated(num: int, data_dir: Path) -> DatasetSpec:
    """Return a dataset of so many images."""
    spec = datasets.get(RECIPE.dataset)

    def load(*_: object) -> StreamedData:
        return StreamedData(num=num, read=partial(read, data_dir))

    return dataclasses.replace(spec, name=f"repeated-{num}", splits={"train": num}, load=load)


def read(data_dir: Path, start: int, stop: int) -> ArrayData:
    """Return the images from `start` to `stop`."""
    data = open_dataset(datasets.get(RECIPE.dataset), "train", data_dir).data
    assert isinstance(data, ArrayData)
    return ArrayData(samples=np.asarray(data.samples)[np.arange(start, stop) % len(data.samples)])


# --- in the process of a set ---

engines: list[Engine] = []


def start(num: int, data_dir: Path, place: str) -> None:
    """Make ready to train."""
    torch.set_num_threads(1)
    settings = resolve(RECIPE, [Layer("here", {"engine": "graph", "precision": "fp32"})], seed=0)
    dataset = open_dataset(repeated(num, data_dir), "train")
    batches = open_batches(dataset, settings.recipe.batch_size, 0, CPU, place)  # type: ignore[arg-type]
    engines.append(Engine(TrainingState(settings, model_config(settings.recipe, dataset.spec.sample), batches, CPU)))
    timed(20)


def timed(steps: int) -> float:
    """Return the seconds of so many steps."""
    started = time.perf_counter()
    for _ in range(steps):
        engines[0].step()
    return time.perf_counter() - started


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--images", type=int, nargs="+", default=[60_000, 600_000, 6_000_000])
    parser.add_argument("--streamed-from", type=int, default=6_000_000)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--steps", type=int, default=200)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        os.environ["GANZOO_HOME"] = home
        seats: dict[int, ProcessPoolExecutor] = {}
        try:
            for num in arguments.images:
                open_dataset(repeated(num, arguments.data_dir), "train")
                seats[num] = pool(1)
                place = "streamed" if num >= arguments.streamed_from else "resident"
                seats[num].submit(start, num, arguments.data_dir, place).result()
                print(f"{num:,} images: {place}", flush=True)
            seconds: dict[int, list[float]] = {num: [] for num in seats}
            for _ in range(arguments.rounds):
                for num, seat in seats.items():
                    seconds[num].append(seat.submit(timed, arguments.steps).result() / arguments.steps)
            peaks = {num: seat.submit(peak_resident_set).result() or 0 for num, seat in seats.items()}
        finally:
            for seat in seats.values():
                seat.shutdown(cancel_futures=True)
    for num, found in seconds.items():
        ratios = [first / ours for first, ours in zip(seconds[arguments.images[0]], found, strict=True)]
        started = time.perf_counter()
        torch.randperm(num)
        epoch = num // RECIPE.batch_size * statistics.median(found)
        print(
            f"{num:,} images: {1 / statistics.median(found):,.1f} steps/s ({1 / max(found):,.1f} to "
            f"{1 / min(found):,.1f}), {statistics.median(ratios):.3f} of the first's; peak {peaks[num] / 2**20:,.0f} "
            f"MiB; permutation {time.perf_counter() - started:.4f} s of an epoch of {epoch:,.0f} s"
        )


if __name__ == "__main__":
    main()
