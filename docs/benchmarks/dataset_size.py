"""Whether steps take longer, or more memory, with larger datasets: MNIST repeated many times.

    python docs/benchmarks/dataset_size.py --data-dir FOLDER [--images 60000 600000 6000000] [--resident-to 600000]

Packs repeated images in a temporary folder, 784 bytes each, and trains `mnist-mlp` on each packed copy: streamed, and
up to `--resident-to` images also resident. Each case has its own process, and the cases alternate. Prints steps per
second and processor time per step (of all threads; other programs disturb it less), both also relative to the smallest
dataset in the same place, peak memory of the process, and how long the permutation at the start of an epoch takes.
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

from ganzoo.config import Layer, resolve
from ganzoo.data import open_batches, open_dataset
from ganzoo.registry import datasets, recipes
from ganzoo.specs import ArrayData, DatasetSpec, StreamedData
from ganzoo.system.peak_memory import peak_resident_set
from ganzoo.system.workers import pool
from ganzoo.training.engines.engine import Engine
from ganzoo.training.state import TrainingState
from ganzoo.weights.model_config import model_config

CPU = torch.device("cpu")
RECIPE = recipes.get("mnist-mlp")


def repeated(num: int, data_dir: Path) -> DatasetSpec:
    """Return a dataset with this many images."""
    spec = datasets.get(RECIPE.dataset)

    def load(*_: object) -> StreamedData:
        return StreamedData(num=num, read=partial(read, data_dir))

    return dataclasses.replace(spec, name=f"repeated-{num}", splits={"train": num}, load=load)


def read(data_dir: Path, start: int, stop: int) -> ArrayData:
    """Return the images from `start` to `stop`."""
    data = open_dataset(datasets.get(RECIPE.dataset), "train", data_dir).data
    assert isinstance(data, ArrayData)
    return ArrayData(samples=np.asarray(data.samples)[np.arange(start, stop) % len(data.samples)])


# --- in the worker process ---

engines: list[Engine] = []


def start(num: int, data_dir: Path, place: str) -> None:
    """Prepare the training."""
    torch.set_num_threads(1)
    settings = resolve(RECIPE, [Layer("here", {"engine": "graph", "precision": "fp32"})], seed=0)
    dataset = open_dataset(repeated(num, data_dir), "train")
    batches = open_batches(dataset, settings.recipe.batch_size, 0, CPU, place)  # type: ignore[arg-type]
    engines.append(Engine(TrainingState(settings, model_config(settings.recipe, dataset.spec.sample), batches, CPU)))
    timed(20)


def timed(steps: int) -> tuple[float, float]:
    """Return wall-clock and processor seconds per step."""
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
        workers: dict[tuple[str, int], ProcessPoolExecutor] = {}
        try:
            for num in arguments.images:
                open_dataset(repeated(num, arguments.data_dir), "train")
                for place in ("resident", "streamed") if num <= arguments.resident_to else ("streamed",):
                    workers[place, num] = pool(1)
                    workers[place, num].submit(start, num, arguments.data_dir, place).result()
            found: dict[tuple[str, int], list[tuple[float, float]]] = {case: [] for case in workers}
            for _ in range(arguments.rounds):
                for case, worker in workers.items():
                    found[case].append(worker.submit(timed, arguments.steps).result())
            peaks = {case: worker.submit(peak_resident_set).result() or 0 for case, worker in workers.items()}
        finally:
            for worker in workers.values():
                worker.shutdown(cancel_futures=True)
    for (place, num), times in sorted(found.items()):
        clock, processor = zip(*times, strict=True)
        pairs = list(zip(found[place, arguments.images[0]], times, strict=True))
        wall_ratio, processor_ratio = (
            statistics.median(ours[of] / first[of] for first, ours in pairs) for of in (0, 1)
        )
        print(
            f"{place}, {num:,} images: {1 / statistics.median(clock):,.1f} steps/s ({1 / max(clock):,.1f} to "
            f"{1 / min(clock):,.1f}), time × {wall_ratio:.3f}; "
            f"{statistics.median(processor) * 1000:,.2f} ms of processor time per step, × {processor_ratio:.3f}; "
            f"peak {peaks[place, num] / 2**20:,.0f} MiB"
        )
    for num in arguments.images:
        started = time.perf_counter()
        torch.randperm(num)
        seconds = time.perf_counter() - started
        print(f"permutation of {num:,}: {seconds:.4f} s, once in {num // RECIPE.batch_size:,} steps")


if __name__ == "__main__":
    main()
