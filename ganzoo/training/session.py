"""A training from its request to its last record: settings resolved, data opened, folder locked."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ganzoo import config
from ganzoo.config import Layer, TrainingSettings, settings_from_json
from ganzoo.data import OpenedDataset, open_batches, open_dataset
from ganzoo.distributed.processes import Processes
from ganzoo.distributed.torchrun import init_processes, may_restart, num_restarts
from ganzoo.errors import ResumeError, TrainingError
from ganzoo.randomness import random_seed
from ganzoo.registry import datasets, recipes
from ganzoo.specs import DatasetSpec
from ganzoo.system.devices import find_device
from ganzoo.training.engines.engine import Engine
from ganzoo.training.loop import Record, never, training
from ganzoo.training.quality import open_evaluator
from ganzoo.training.run import Run, RunData, check_free, is_run
from ganzoo.training.state import TrainingState, check_trainable
from ganzoo.training.tensorboard import check_tensorboard
from ganzoo.weights.model_config import ModelConfig, model_config

if TYPE_CHECKING:
    import torch

    from ganzoo.evaluation.measurement import Evaluator

CHANGEABLE = frozenset(
    {
        "device",
        "data",
        "log_every",
        "sample_every",
        "checkpoint_every",
        "keep_checkpoints",
        "eval_every",
        "eval_protocol",
        "best_metric",
        "tensorboard",
    }
)
"""Settings that may always change when a run goes on, because they do not change what was computed so far."""


OpenData = Callable[[DatasetSpec, str, Path | None], OpenedDataset]
"""(dataset, split, data_dir) -> the split: `open_dataset`, or one that shows how far it is."""


class Training:
    """A run that is locked and ready to go on: iterate over it to train, which unlocks it at the end."""

    def __init__(self, run: Run, state: TrainingState, evaluator: Evaluator | None = None) -> None:
        self.run, self.state, self.evaluator = run, state, evaluator
        self.engine = Engine(state)
        self.should_stop: Callable[[], bool] = never

    @classmethod
    def start(
        cls,
        recipe: str,
        out: Path | None,
        layers: Iterable[Layer],
        data_dir: Path | None = None,
        open_data: OpenData = open_dataset,
    ) -> Training:
        """Resolve the settings, open the data, and make the run's folder last, so that a failure leaves none.

        Raises UnknownNameError, SettingsError, DeviceError, DatasetError, TrainingError.
        """
        processes = init_processes()
        path = out or Path("runs", f"{recipe}-{datetime.now():%Y%m%d-%H%M%S}")

        def settle() -> TrainingSettings:
            settings = config.resolve(recipes.get(recipe), layers, seed=random_seed())
            processes.check_batch(settings.recipe.batch_size)
            check_free(path)
            return settings

        settings = _told_settings(processes, processes.run_on_main(settle))
        state, digest = _prepare(settings, data_dir, open_data, processes)
        state.take_from_first()
        evaluator = open_evaluator(state, data_dir)
        data = RunData(digest, data_dir)
        run = _told_run(processes, processes.run_on_main(lambda: Run.create(path, state.settings, data, state.device)))
        return cls(run, state, evaluator)

    @classmethod
    def resume(
        cls,
        path: Path,
        layers: Iterable[Layer] = (),
        data_dir: Path | None = None,
        open_data: OpenData = open_dataset,
    ) -> Training:
        """Take a run up at its newest checkpoint.

        Raises ResumeError when other settings, data or devices would make it another run; TrainingError when another
        process is training it.
        """
        processes = init_processes()
        run = _told_run(processes, processes.run_on_main(lambda: Run.open(path)))

        def settle() -> TrainingSettings:
            settings = config.resolve_again(run.settings, layers)
            if settings.precision == "auto":
                settings = replace(settings, precision=run.settings.precision)
            _refuse_changes(path, run.settings, settings)
            processes.check_batch(settings.recipe.batch_size)
            return settings

        settings = _told_settings(processes, processes.run_on_main(settle))
        processes.run_on_all(lambda: _refuse_device(run, find_device(settings.device)))
        processes.run_on_main(run.lock)
        try:
            data_dir = data_dir or run.data_dir
            state, digest = _prepare(settings, data_dir, open_data, processes)
            processes.run_on_all(lambda: _refuse_other_data(run, digest))
            processes.run_on_main(lambda: run.load(state))
            state.take_from_first()
            processes.run_on_main(lambda: _refuse_fewer_steps(run, state.step, settings.recipe.steps))
            evaluator = None if state.step == settings.recipe.steps else open_evaluator(state, data_dir)
            run.settings = settings
            processes.run_on_main(lambda: run.record_resumption(settings, data_dir))
        except BaseException:
            run.unlock()
            raise
        return cls(run, state, evaluator)

    @classmethod
    def start_or_resume(
        cls,
        recipe: str,
        out: Path | None,
        layers: Sequence[Layer],
        data_dir: Path | None = None,
        open_data: OpenData = open_dataset,
    ) -> Training:
        """Start, or take up the run in `out` where torchrun may have started this command before.

        Raises what `start` and `resume` raise, and TrainingError for a restart that cannot know its run.
        """
        if num_restarts() and out is None:
            raise TrainingError(
                "a restarted training does not know its run's folder.",
                hint="Give --out together with torchrun --max-restarts; go on now with ganzoo resume RUN.",
            )
        if init_processes().broadcast(may_restart() and out is not None and is_run(out)):
            assert out is not None
            return cls.resume(out, layers, data_dir, open_data)
        return cls.start(recipe, out, layers, data_dir, open_data)

    def __iter__(self) -> Iterator[Record]:
        try:
            should_stop = self.state.processes.agreed(self.should_stop)
            yield from training(self.run, self.state, self.engine, self.evaluator, should_stop)
        finally:
            self.state.batches.close()
            self.run.unlock()

    @property
    def finished(self) -> bool:
        """Whether the last step has been taken."""
        return self.state.step >= self.run.settings.recipe.steps


def _told_settings(processes: Processes, settings: TrainingSettings | None) -> TrainingSettings:
    """Return the settings of the first rank."""
    told = processes.broadcast(settings and settings.to_json())
    return settings or settings_from_json(told, "the first process")


def _told_run(processes: Processes, run: Run | None) -> Run:
    """Return the run of the first rank; the others know it, and have no part in its folder."""
    told = processes.broadcast(run and {"path": str(run.path), "document": run.document})
    return run or Run(Path(told["path"]), told["document"])


def _prepare(
    settings: TrainingSettings, data_dir: Path | None, open_data: OpenData, processes: Processes
) -> tuple[TrainingState, str]:
    """Build the state of a run's beginning, and name the data by its digest."""

    def check() -> tuple[torch.device, DatasetSpec, ModelConfig]:
        device = processes.device(settings.device)
        if settings.tensorboard:
            check_tensorboard()
        spec = datasets.get(settings.recipe.dataset)
        described = model_config(settings.recipe, spec.sample)
        check_trainable(settings, described)
        return device, spec, described

    def build() -> TrainingState:
        batches = open_batches(dataset, settings.recipe.batch_size, settings.seed, device, settings.data, processes)
        return TrainingState(settings, described, batches, device, processes)

    device, spec, described = processes.run_on_all(check)
    dataset = processes.main_first(lambda: open_data(spec, settings.recipe.split, data_dir))
    return processes.run_on_all(build), dataset.digest


def _refuse_device(run: Run, device: torch.device) -> None:
    if device.type != run.device_type:
        raise ResumeError(
            f"{run.path} was trained on {run.device_type}, whose random numbers {device.type} cannot continue.",
            hint=f"Resume with --device {run.device_type}, or train anew.",
        )


def _refuse_other_data(run: Run, digest: str) -> None:
    if digest != run.dataset_digest:
        raise ResumeError(
            f"{run.path} was trained on other data: sha256 {run.dataset_digest[:12]}…, now {digest[:12]}….",
            hint="Pass the folder with the original files as --data-dir.",
        )


def _refuse_changes(path: Path, before: TrainingSettings, after: TrainingSettings) -> None:
    found = config.differences(before.to_json(), after.to_json())
    refused = {key: values for key, values in found.items() if not _may_change(key, values, before)}
    if refused:
        listed = "; ".join(f"{key.removeprefix('recipe.')}: {old} -> {new}" for key, (old, new) in refused.items())
        raise ResumeError(
            f"{path} cannot go on with other settings ({listed}).",
            hint="Leave them out, or train anew with them.",
        )


def _may_change(key: str, values: tuple[Any, Any], settings: TrainingSettings) -> bool:
    optimizers = settings.recipe.optimizers
    if key == "recipe.steps":  # a step size that goes down to zero at the last step would have gone down otherwise
        return optimizers.generator.decay == optimizers.discriminator.decay == "none"
    if key == "engine":  # the others compute the same numbers
        return "compile" not in values
    return key in CHANGEABLE


def _refuse_fewer_steps(run: Run, taken: int, asked: int) -> None:
    if asked < taken:
        raise ResumeError(
            f"{run.path} has taken {taken} steps already; {asked} are fewer.",
            hint="Give more steps, or leave --steps out.",
        )


def train(
    recipe: str,
    *,
    out: str | os.PathLike[str] | None = None,
    data_dir: str | os.PathLike[str] | None = None,
    settings: Mapping[str, Any] | None = None,
    on_record: Callable[[Record], None] | None = None,
) -> Run:
    """Train a recipe to its end and return the run, whose path `ganzoo.load` takes.

    Neither the user's settings file nor GANZOO_ settings in the environment are read.

    Args:
        recipe: name of an installed recipe.
        out: the run's folder, new or empty; default `runs/<recipe>-<time>`.
        data_dir: a folder with the dataset's files; default: downloaded into the store.
        settings: dotted key -> value over the recipe's own, such as `{"steps": 1000, "seed": 0, "device": "cpu"}`.
            A random seed is taken when none is given; the run records it.
        on_record: called with every `Record`.

    Raises:
        UnknownNameError, SettingsError, DeviceError: the request is wrong.
        MissingDatasetError, DatasetError: the data cannot be had or read.
        TrainingError: the folder is in use or cannot be written; DivergedError: a loss became NaN or infinite.
    """
    job = Training.start(
        recipe,
        None if out is None else Path(out),
        [Layer("settings", settings or {})],
        None if data_dir is None else Path(data_dir),
    )
    return _finish(job, on_record)


def resume(run: str | os.PathLike[str], *, on_record: Callable[[Record], None] | None = None) -> Run:
    """Continue a run from its newest checkpoint to its end; on a CPU the result is that of an uninterrupted run.

    Raises ResumeError, and what `train` raises.
    """
    return _finish(Training.resume(Path(run)), on_record)


def _finish(job: Training, on_record: Callable[[Record], None] | None) -> Run:
    for record in job:
        if on_record is not None:
            on_record(record)
    return job.run
