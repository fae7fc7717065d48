"""From a request to the first step: settings resolved, data opened, folder locked. Then the loop runs."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from ganzoo import config
from ganzoo.config import Layer, TrainingSettings, settings_from_json
from ganzoo.data import OpenedDataset, open_batches, open_dataset
from ganzoo.data.location import remembered_folder
from ganzoo.data.settings import dataset_of
from ganzoo.distributed.processes import Processes
from ganzoo.distributed.torchrun import init_processes, may_restart, num_restarts
from ganzoo.errors import DivergedError, SettingsError, TrainingError
from ganzoo.randomness import random_seed
from ganzoo.registry import recipes
from ganzoo.rendering.notebook import notebook_display
from ganzoo.requirements import naming_plugins
from ganzoo.specs import DatasetSpec
from ganzoo.system.devices import find_device
from ganzoo.targets import find_target
from ganzoo.training.display import TrainingDisplay
from ganzoo.training.engines.engine import Engine
from ganzoo.training.first_batch import check_first_batch
from ganzoo.training.initial import copy_initial, pinned, read_initial
from ganzoo.training.loggers import check_loggers
from ganzoo.training.loop import Record, never, training
from ganzoo.training.quality import open_evaluator
from ganzoo.training.resumption import (
    begin_again,
    refuse_changes,
    refuse_device,
    refuse_fewer_steps,
    refuse_other_data,
)
from ganzoo.training.rollback import roll_back
from ganzoo.training.run import Run, RunData, check_free, is_run, new_folder
from ganzoo.training.state import TrainingState, check_trainable
from ganzoo.training.threads import choose_threads
from ganzoo.weights.model_config import model_config

if TYPE_CHECKING:
    from ganzoo.evaluation.measurement import Evaluator

_log = logging.getLogger("ganzoo")

OpenData = Callable[[DatasetSpec, str, Path | None], OpenedDataset]
"""(dataset, split, data_dir) -> the split: `open_dataset`, or a function that also shows its progress."""


class Training:
    """A locked run with all that it needs to continue. Iterating over it trains, and unlocks it at the end."""

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
        """Resolve the settings, open the data, and create the run's folder last, so that a failure leaves none.

        Raises UnknownNameError, SettingsError, DeviceError, DatasetError, TrainingError.
        """
        training = cls.plan(recipe, out, layers, data_dir, open_data)
        with training.state.processes.on_main() as main:
            if main:
                training.run.create()
        return training

    @classmethod
    def plan(
        cls,
        recipe: str,
        out: Path | None,
        layers: Iterable[Layer],
        data_dir: Path | None = None,
        open_data: OpenData = open_dataset,
    ) -> Training:
        """Do all of `start` but creating the run's folder: a training that was checked, for `estimate`.

        Raises what `start` raises.
        """
        processes = init_processes()
        request = initial = copied = None
        with processes.on_main() as main:
            if main:
                resolved = config.resolve(recipes.get(recipe), layers, seed=random_seed())
                processes.check_batch(resolved.recipe.batch_size)
                path = out or new_folder(recipe)
                # Refused here, before any data is downloaded for a folder that is in use.
                check_free(path)
                initial = read_initial(resolved)
                request = {"path": str(path), "settings": pinned(resolved, initial).to_json()}
        # The only broadcast: seed, clock and configuration files are those of the main process.
        request = processes.broadcast(request)
        path, settings = Path(request["path"]), settings_from_json(request["settings"], "the main process")

        state, digest = _prepare(settings, data_dir, open_data, processes, is_new=True)
        with processes.on_main():
            if initial is not None:
                copied = copy_initial(state, initial)
        # The seed gives all ranks the same weights already; what this adds are initial weights that were read, and
        # dropout of its own for each.
        state.copy_from_main()
        # Before the folder exists, so that networks, data or an evaluation that cannot work leave no run behind.
        with processes.sharing_errors():
            check_first_batch(state)
        evaluator = open_evaluator(state, data_dir)
        run = Run.new(path, state.settings, RunData(digest, data_dir), state.device, copied)
        return cls(run, state, evaluator)

    @classmethod
    def resume(
        cls,
        path: Path,
        layers: Iterable[Layer] = (),
        data_dir: Path | None = None,
        open_data: OpenData = open_dataset,
    ) -> Training:
        """Continue a run from its newest checkpoint.

        Raises ResumeError when other settings, data or devices would make it a different run; TrainingError when
        another process is training it.
        """
        processes = init_processes()
        request = None
        with processes.on_main() as main:
            if main:
                run = Run.open(path)
                resolved = config.resolve_again(run.settings, layers)
                # `auto` stays what it became when the run began, whatever this machine would choose.
                if resolved.precision == "auto":
                    resolved = replace(resolved, precision=run.settings.precision)
                if resolved.threads is None:
                    resolved = replace(resolved, threads=run.settings.threads)
                with naming_plugins(run.requires, path):  # an optimizer's config says which numbers have schedules
                    refuse_changes(path, run.settings, resolved)
                processes.check_batch(resolved.recipe.batch_size)
                request = {"document": run.document, "settings": resolved.to_json()}
        # The only broadcast: other machines may not see the run's folder.
        request = processes.broadcast(request)
        run, settings = Run(path, request["document"]), settings_from_json(request["settings"], "the main process")

        with processes.sharing_errors():
            refuse_device(run, find_device(settings.device))
        with processes.on_main() as main:
            if main:
                run.lock()
        try:
            # Locked from here on, by the main rank. Whatever fails, Ctrl-C included, must release the lock again.
            folder = data_dir or remembered_folder(run.data_dir)
            with naming_plugins(run.requires, path):
                state, digest = _prepare(settings, folder, open_data, processes)
            with processes.sharing_errors():
                refuse_other_data(run, digest)
            with processes.on_main() as main:
                if main:
                    if not run.checkpoints.steps():  # it was killed before the first one, and begins again
                        begin_again(run, state)
                    run.load(state)
                    refuse_fewer_steps(run, state.step, settings.recipe.steps)
            state.copy_from_main()
            # A finished run takes no more steps, and so has nothing to evaluate.
            evaluator = None if state.step == settings.recipe.steps else open_evaluator(state, folder)
            run.settings = settings
            with processes.on_main() as main:
                if main:
                    run.record_resumption(settings, data_dir or run.data_dir)
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
        """Start a run, or resume the one in `out` if torchrun may have started this command before.

        Raises what `start` and `resume` raise, and TrainingError for a restart that has no way to know its run.
        """
        if num_restarts() and out is None:
            raise TrainingError(
                "torchrun restarted this training, but it cannot know its run's folder without --out.",
                hint="Use --out together with torchrun --max-restarts. To continue now: ganzoo resume RUN.",
            )
        # The main rank decides: other machines may not see the folder, and all must take the same branch.
        if init_processes().broadcast(may_restart() and out is not None and is_run(out)):
            assert out is not None
            return cls.resume(out, layers, data_dir, open_data)
        return cls.start(recipe, out, layers, data_dir, open_data)

    def __iter__(self) -> Iterator[Record]:
        try:
            should_stop = self.state.processes.agreed(self.should_stop)
            while True:
                try:
                    yield from training(self.run, self.state, self.engine, self.evaluator, should_stop)
                    break
                except DivergedError as error:
                    if not roll_back(self.run, self.state, error):
                        raise
                self.engine = Engine(self.state)  # a recording may hold the generators of before
        finally:
            self.state.batches.close()
            self.run.unlock()

    @property
    def finished(self) -> bool:
        """Whether the last step has been taken."""
        return self.state.step >= self.run.settings.recipe.steps


def _prepare(
    settings: TrainingSettings,
    data_dir: Path | None,
    open_data: OpenData,
    processes: Processes,
    *,
    is_new: bool = False,
) -> tuple[TrainingState, str]:
    """Return the state at a run's beginning, and the digest of the data."""
    recipe = settings.recipe
    with processes.sharing_errors():
        device = processes.device(settings.device)
        if processes.is_main:
            check_loggers(settings)
        if settings.rollbacks and processes.world_size > 1:
            raise SettingsError("rollbacks are for one process, not several.", hint="Leave --rollbacks out.")
        chosen = dataset_of(recipe)
        described = model_config(recipe, chosen.sample, chosen.settings)
        check_trainable(settings, described)
        if recipe.batch_size % (processes.world_size * recipe.accumulate):
            raise SettingsError(
                f"batch_size {recipe.batch_size} cannot be split evenly: {processes.world_size} processes take "
                f"{recipe.accumulate} parts each.",
                hint="Set another batch_size or accumulate.",
            )
        threads = choose_threads(settings, described, device) if is_new else settings.threads
    # Every process takes the number of the main one, which is recorded.
    settings = replace(settings, threads=processes.broadcast(threads))
    # The checks above share their errors first. A rank that failed in them would be missing here, and the others would
    # wait for it.
    dataset = processes.main_first(lambda: open_data(chosen, recipe.split, data_dir))
    with processes.sharing_errors():
        batches = open_batches(
            dataset,
            recipe.batch_size,
            settings.seed,
            device,
            settings.data,
            processes,
            drop_last=recipe.drop_last,
            conditional=recipe.conditional,
            text=described.sample.text,
        )
        return TrainingState(settings, described, batches, device, processes), dataset.digest


def train(
    target: str | os.PathLike[str],
    /,
    *,
    recipe: str | None = None,
    size: int | None = None,
    classes: bool = False,
    out: str | os.PathLike[str] | None = None,
    data_dir: str | os.PathLike[str] | None = None,
    settings: Mapping[str, Any] | None = None,
    on_record: Callable[[Record], None] | None = None,
) -> Run:
    """Train a recipe, or on your own pictures, and return the run; `ganzoo.load(run.path)` loads the model.

    Neither the user's settings file nor GANZOO_ settings in the environment are read. A notebook shows a bar, the
    losses and the newest samples.

    Args:
        target: name of an installed recipe, or the path of a folder or archive of pictures.
        recipe: for pictures, the recipe to train; default: the one that suits them.
        size: for pictures, height and width of the samples.
        classes: for pictures, whether their sub-folders are classes, on which the model is conditioned.
        out: the run's folder, new or empty; default `runs/<recipe>-<time>`.
        data_dir: a folder with the dataset's files, or with a folder of the dataset's name; default: the copy that was
            packed last, else a download into the store.
        settings: dotted key -> value, overriding the recipe, such as `{"steps": 1000, "seed": 0, "device": "cpu"}`.
            Without a seed, a random one is used; the run records it.
        on_record: called with every `Record`.

    Raises:
        UnknownNameError, UsageError, SettingsError, DeviceError: the request is wrong.
        MissingDatasetError, DatasetError: the data cannot be found or read.
        TrainingError: the folder is in use or cannot be written; DivergedError: a loss became NaN or infinite.
    """
    folder = None if data_dir is None else Path(data_dir)
    found = find_target(target, recipe=recipe, size=size, classes=classes, data_dir=folder)
    for message in found.messages:
        _log.info(message)
    layers = [found.layer, _layer(settings)]
    path = None if out is None else Path(out)
    return _finish(Training.start(found.recipe, path, layers, found.data_dir), on_record)


def resume(
    run: str | os.PathLike[str],
    *,
    steps: int | None = None,
    data_dir: str | os.PathLike[str] | None = None,
    settings: Mapping[str, Any] | None = None,
    on_record: Callable[[Record], None] | None = None,
) -> Run:
    """Continue a run from its newest checkpoint to its last step; on a CPU, with the result of an uninterrupted run.

    A finished run is returned as it is, unless `steps` makes it longer.

    Args:
        run: the run's folder.
        steps: train to this step instead of the run's last.
        data_dir: where the files are now, if no longer where the run found them.
        settings: dotted key -> value; only those on which no step depends may differ, such as `{"log_every": 10}`.
        on_record: called with every `Record`.

    Raises ResumeError, and what `train` raises.
    """
    values = {**(settings or {}), **({} if steps is None else {"steps": steps})}
    return _finish(
        Training.resume(Path(run), [_layer(values)], None if data_dir is None else Path(data_dir)), on_record
    )


def _layer(settings: Mapping[str, Any] | None) -> Layer:
    values = {key: str(value) if isinstance(value, torch.device) else value for key, value in (settings or {}).items()}
    return Layer("settings", values)


def _finish(job: Training, on_record: Callable[[Record], None] | None) -> Run:
    recipe, show = job.run.settings.recipe, notebook_display()
    display = None if show is None else TrainingDisplay(show, recipe.name, recipe.steps, job.run.path / "samples")
    for record in job:
        if display is not None:
            display(record)
        if on_record is not None:
            on_record(record)
    return job.run
