"""Training speed from disk compared with training from memory, in alternating rounds, on one core.

    python docs/benchmarks/streaming.py RECIPE --data-dir FOLDER [--split train] [--gigabytes 2] [--set KEY=VALUE]

Packs the split's samples repeatedly until the packed copy has that size. Before each round the file is dropped from the
system's cache (posix_fadvise), so that every sample of a streamed round comes from the disk, as with a dataset much
larger than memory. Prints steps per second, processor time per step (of all threads; other programs disturb it less),
their ratio in each pair of rounds, and the growth of the resident set.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from ganzoo.config import Layer, assignments_layer, resolve
from ganzoo.data import OpenedDataset, open_batches, open_dataset
from ganzoo.registry import datasets, recipes
from ganzoo.specs import ArrayData, DatasetSpec, StreamedData
from ganzoo.training.engines.engine import Engine
from ganzoo.training.state import TrainingState
from ganzoo.weights.model_config import model_config


def repeated(spec: DatasetSpec, opened: OpenedDataset, size: float) -> DatasetSpec:
    """Return a dataset whose split `train` is that of another, over and over."""
    data = opened.data
    assert isinstance(data, ArrayData)
    samples = np.array(data.samples)
    num = int(size // samples[0].nbytes)

    def read(start: int, stop: int) -> ArrayData:
        return ArrayData(samples=samples[np.arange(start, stop) % len(samples)])

    return dataclasses.replace(
        spec, name="repeated", splits={"train": num}, load=lambda *_: StreamedData(num=num, read=read)
    )


def forget(path: Path) -> None:
    """Let the system drop a file's pages from its cache."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def resident_set() -> int:
    """Return the pages of this process that are in memory, in bytes."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe")
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--split", default="train")
    parser.add_argument("--gigabytes", type=float, default=2)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--set", action="append", default=[])
    arguments = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    torch.set_num_threads(1)

    plain = {"engine": "eager", "precision": "fp32"}
    settings = resolve(recipes.get(arguments.recipe), [Layer("here", plain), assignments_layer(arguments.set)], seed=0)
    spec = datasets.get(settings.recipe.dataset)
    with tempfile.TemporaryDirectory() as home:
        os.environ["GANZOO_HOME"] = home
        opened = open_dataset(spec, arguments.split, arguments.data_dir)
        dataset = open_dataset(repeated(spec, opened, arguments.gigabytes * 1e9), "train")
        assert isinstance(dataset.data, ArrayData)
        path = Path(str(dataset.data.samples.filename))  # type: ignore[attr-defined]  # a memory map
        print(f"{len(dataset.data.samples):,} samples, {path.stat().st_size / 1e9:.1f} GB", flush=True)

        device = torch.device("cpu")
        engines, streams = {}, {}
        for place in ("streamed", "resident"):  # streamed first, to see what it takes
            before = resident_set()
            batches = open_batches(dataset, settings.recipe.batch_size, 0, device, place)  # type: ignore[arg-type]
            state = TrainingState(settings, model_config(settings.recipe, spec.sample), batches, device)
            engines[place], streams[place] = Engine(state), batches
            for _ in range(20):
                engines[place].step()
            print(f"{place}: {(resident_set() - before) / 2**20:,.0f} MiB more in memory, nets included", flush=True)
        speeds: dict[str, list[float]] = {place: [] for place in engines}
        costs: dict[str, list[float]] = {place: [] for place in engines}
        for _ in range(arguments.rounds):
            for place, engine in engines.items():
                forget(path)
                streams[place].load_state_dict(streams[place].state_dict())  # nothing read ahead of the round
                started, processor = time.perf_counter(), time.process_time()
                for _ in range(arguments.steps):
                    engine.step()
                speeds[place].append(arguments.steps / (time.perf_counter() - started))
                costs[place].append((time.process_time() - processor) / arguments.steps * 1000)
                streams[place].close()
        for place, found in speeds.items():
            print(
                f"{place}: {statistics.median(found):,.1f} steps/s ({min(found):,.1f} to {max(found):,.1f}), ", end=""
            )
            print(f"{statistics.median(costs[place]):,.2f} ms of processor a step")
        for what, ours, theirs in (
            ("steps/s, streamed / resident", speeds["streamed"], speeds["resident"]),
            ("processor time, streamed / resident", costs["streamed"], costs["resident"]),
        ):
            ratios = [one / other for one, other in zip(ours, theirs, strict=True)]
            print(f"{what}: median {statistics.median(ratios):.3f} ({min(ratios):.3f} to {max(ratios):.3f})")


if __name__ == "__main__":
    main()
