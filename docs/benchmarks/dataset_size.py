"""Whether steps take longer, or more memory, the larger the dataset is: packed copies of MNIST, over and over.

    python docs/benchmarks/dataset_size.py --data-dir FOLDER [--images 60000 600000 6000000] [--resident-to 600000]

Packs the images repeated until there are so many, in a temporary folder that needs 784 bytes for each, and trains
`mnist-mlp` from each copy streamed, and from those up to `--resident-to` resident too, each in a process of its own;
they take turns. Prints steps per second, processor time a step (all threads, which other programs on the machine
disturb less), both against the smallest set in the same place, the most memory that the process ever had, and the
seconds that the permutation at the beginning of an epoch takes.
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
from ganzoo.registry import datasets, recipes
from ganzoo.specs import ArrayData, DatasetSpec, StreamedData
from ganzoo.system.workers import pool
from ganzoo.training.engines.engine import Engine
from ganzoo.training.state import TrainingState
from ganzoo.weights.model_config import model_config

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


def timed(steps: int) -> tuple[float, float]:
    """Return the seconds of a step, by the clock and of processors."""
    started, processor = time.perf_counter(), time.process_time()
    for _ in range(steps):
        engines[0].step()
    return (time.perf_counter() - started) / steps, (time.process_time() - processor) / steps


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--images", type=int, nargs="+", default=[60_000, 600_000, 6_000_000])
    parser.add_argument("--resident-to", type=int, default=600_000)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--steps", type=int, default=200)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        os.environ["GANZOO_HOME"] = home
        seats: dict[tuple[str, int], ProcessPoolExecutor] = {}
        try:
            for num in arguments.images:
                open_dataset(repeated(num, arguments.data_dir), "train")
                for place in ("resident", "streamed") if num <= arguments.resident_to else ("streamed",):
                    seats[place, num] = pool(1)
                    seats[place, num].submit(start, num, arguments.data_dir, place).result()
            found: dict[tuple[str, int], list[tuple[float, float]]] = {case: [] for case in seats}
            for _ in range(arguments.rounds):
                for case, seat in seats.items():
                    found[case].append(seat.submit(timed, arguments.steps).result())
            peaks = {case: seat.submit(peak_resident_set).result() or 0 for case, seat in seats.items()}
        finally:
            for seat in seats.values():
                seat.shutdown(cancel_futures=True)
    for (place, num), times in sorted(found.items()):
        clock, processor = zip(*times, strict=True)
        pairs = list(zip(found[place, arguments.images[0]], times, strict=True))
        slower, dearer = (statistics.median(ours[of] / first[of] for first, ours in pairs) for of in (0, 1))
        print(
            f"{place}, {num:,} images: {1 / statistics.median(clock):,.1f} steps/s ({1 / max(clock):,.1f} to "
            f"{1 / min(clock):,.1f}), time × {slower:.3f}; {statistics.median(processor) * 1000:,.2f} ms of processor "
            f"a step, × {dearer:.3f}; peak {peaks[place, num] / 2**20:,.0f} MiB"
        )
    for num in arguments.images:
        started = time.perf_counter()
        torch.randperm(num)
        seconds = time.perf_counter() - started
        print(f"permutation of {num:,}: {seconds:.4f} s, once in {num // RECIPE.batch_size:,} steps")


if __name__ == "__main__":
    main()
