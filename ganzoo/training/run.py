"""A run: one training on disk.

    run.json                resolved settings, digest of the data, versions; the weights it began with, returns to a
                            checkpoint and alarms, if there are any
    metrics.jsonl           one record per line
    charts.png              the records as charts, drawn with every sample picture
    report.html             settings, samples over time, charts and metrics in one page, written when the training ends
    samples/step-00002000.png   a picture of samples; step-….npy, an array, for samples that are not drawn
    tensorboard/, wandb/, … what the loggers in the settings write
    checkpoints/step-00005000.safetensors   the whole training state; the newest few
    best/                   the weights of the best evaluation, if the settings ask for evaluations
    config.json, model.safetensors, discriminator.safetensors, training.json
                            the newest checkpoint as a weights folder, for `load`, `sample` and `eval`

Everything but metrics.jsonl is written atomically: a file that is there is complete. Lines are added to metrics.jsonl
without waiting for the disk, and it is read up to its first damaged line. On resume, lines after the newest checkpoint
are dropped.
"""

from __future__ import annotations

import itertools
import json
import logging
import platform
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock, Timeout

from ganzoo.config import TrainingSettings, settings_from_json
from ganzoo.errors import ResumeError, SettingsError, TrainingError, first_sentence, hint_for
from ganzoo.rendering import History, read_records
from ganzoo.requirements import (
    Requirement,
    merged,
    recipe_requirements,
    requirement_from_json,
    requirements,
)
from ganzoo.system.files import contents, read_regular, write_atomically
from ganzoo.system.locks import holder
from ganzoo.system.shell import quoted
from ganzoo.training.checkpoints import Checkpoints
from ganzoo.training.state import TrainingState
from ganzoo.validation import plain
from ganzoo.version import __version__
from ganzoo.weights.layout import DISCRIMINATOR_NAME, GENERATOR_NAME, TRAINING_NAME
from ganzoo.weights.nets import save_nets

SCHEMA_VERSION = 1
LOCK_NAME = ".lock"
MAX_DOCUMENT_BYTES = 16 << 20
"""A longer run.json is not one of ours."""

_log = logging.getLogger("ganzoo")


@dataclass(frozen=True)
class RunData:
    """What a run is trained on."""

    digest: str
    """sha256 of the training split."""
    folder: Path | None
    """The --data-dir that it came from; None for the store."""


class Run:
    """The folder of one training. `Run.open` opens one; `Run.new(…).create()` makes one."""

    def __init__(self, path: Path, document: dict[str, Any]) -> None:
        self.path = path
        self.document = document
        self.settings: TrainingSettings = settings_from_json(document["settings"], str(path / "run.json"))
        for key, kind in {"dataset_digest": str, "device_type": str, "data_dir": str | None, "resumed": list}.items():
            if not isinstance(document[key], kind):
                raise TypeError(f"{key} is not of the right type")
        self.dataset_digest: str = document["dataset_digest"]
        self.device_type: str = document["device_type"]
        self.data_dir: Path | None = Path(document["data_dir"]).resolve() if document["data_dir"] else None
        for key, optional in {"initial": dict, "rollbacks": list, "alarms": list}.items():
            if not isinstance(document.get(key, optional()), optional):
                raise TypeError(f"{key} is not of the right type")
        self.initial: Mapping[str, Any] | None = document.get("initial")
        self.requires = tuple(requirement_from_json(one) for one in document.get("requires", ()))
        self.checkpoints = Checkpoints(path / "checkpoints")
        self.history = History()
        self._lock = FileLock(path / LOCK_NAME)

    def __repr__(self) -> str:
        return f"Run({str(self.path)!r})"

    @classmethod
    def new(
        cls,
        path: Path,
        settings: TrainingSettings,
        data: RunData,
        device: torch.device,
        initial: Mapping[str, Any] | None = None,
    ) -> Run:
        """Describe a new run, on any rank; nothing is written. `initial` is what it took over from other weights."""
        document = {
            "schema": SCHEMA_VERSION,
            "settings": settings.to_json(),
            "device_type": device.type,
            "dataset_digest": data.digest,
            "data_dir": _resolved(data.folder),
            "created": _now(),
            "versions": {"ganzoo": __version__, "torch": torch.__version__, "python": platform.python_version()},
            "platform": platform.platform(),
            "requires": plain(run_requirements(settings)),
            "resumed": [],
        }
        return cls(path, document if initial is None else {**document, "initial": initial})

    def create(self) -> None:
        """Make the folder, locked. Raises TrainingError when it already holds something."""
        with writing(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
        self.lock()
        try:
            check_free(self.path)
            self._write_document()
        except BaseException:
            self.unlock()
            raise

    @classmethod
    def open(cls, path: Path) -> Run:
        """Open an existing run. Raises ResumeError."""
        try:
            document = json.loads(read_regular(path / "run.json", MAX_DOCUMENT_BYTES))
            newer = document["schema"] > SCHEMA_VERSION
            run = None if newer else cls(path, document)
        except FileNotFoundError:
            raise ResumeError(
                f"{path} is not a run: it has no run.json.", hint="Name a folder that ganzoo train has written."
            ) from None
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError, SettingsError) as error:
            raise ResumeError(
                f"cannot read {path}/run.json: {error}.", hint="Restore the file, or start a new run."
            ) from error
        if run is None:
            raise ResumeError(f"{path} was written by a newer ganzoo.", hint="Update ganzoo.")
        return run

    def lock(self) -> None:
        """Keep other programs from training into this folder, until `unlock` or the end of this process.

        Raises TrainingError when another one is training into it.
        """
        with writing(self.path):
            try:
                self._lock.acquire(blocking=False)
            except Timeout:
                raise TrainingError(
                    f"{holder(self.path / LOCK_NAME)} is training into {self.path}.",
                    hint="Wait for it, stop it, or choose another folder.",
                ) from None

    def unlock(self) -> None:
        """Release the lock; does nothing where it is not held."""
        self._lock.release()

    def record_resumption(self, settings: TrainingSettings, data_dir: Path | None) -> None:
        """Record in run.json when, with which settings and from which data the run continues."""
        self.settings, self.data_dir = settings, data_dir
        self.document["settings"] = settings.to_json()
        self.document["data_dir"] = _resolved(data_dir)
        versions = {"ganzoo": __version__, "torch": torch.__version__, "requires": plain(run_requirements(settings))}
        self.document["resumed"].append({"at": _now(), **versions})
        self._write_document()

    def note(self, key: str, entry: Mapping[str, Any]) -> None:
        """Append an entry to a list of run.json."""
        self.document.setdefault(key, []).append(entry)
        self._write_document()

    def _write_document(self) -> None:
        with writing(self.path):
            write_atomically(self.path / "run.json", _json(self.document))

    # --- metrics and pictures ---

    def append_record(self, record: Mapping[str, Any]) -> None:
        """Add a line to metrics.jsonl."""
        with writing(self.path), (self.path / "metrics.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")
        self.history.add(record)

    def records(self) -> list[dict[str, Any]]:
        """Return the lines of metrics.jsonl up to the first damaged one."""
        return read_records(self.path)

    def drop_records_after(self, step: int) -> None:
        """Drop the lines of steps that will be taken again, and damaged ones."""
        kept = "".join(json.dumps(record) + "\n" for record in self.records() if record["step"] <= step)
        with writing(self.path):
            write_atomically(self.path / "metrics.jsonl", kept.encode())

    def sample_path(self, step: int, suffix: str = ".png") -> Path:
        """Return the path of the sample picture of a step; of an array (`.npy`) for samples that are not drawn."""
        return self.path / "samples" / f"step-{step:08d}{suffix}"

    @property
    def best_path(self) -> Path:
        """Folder of the weights of the best evaluation."""
        return self.path / "best"

    @property
    def chart_path(self) -> Path:
        """Path of the charts."""
        return self.path / "charts.png"

    # --- checkpoints and weights ---

    def save(self, state: TrainingState) -> None:
        """Write the state as the newest checkpoint, and its nets as a weights folder at the top of the run."""
        with writing(self.path):
            self.checkpoints.save(state, self.settings.keep_checkpoints)
        self.save_weights(state, self.path)

    def load(self, state: TrainingState) -> None:
        """Restore the newest checkpoint; without any, start from the beginning. Raises ResumeError."""
        parts = (self.checkpoints.folder, self.path / "samples", self.best_path)
        for folder in parts:
            if folder.is_symlink():  # old files in it are deleted, and it may be anybody's
                raise ResumeError(f"{folder} is a symbolic link.", hint="Put the folder itself in its place.")
        for folder in (self.path, *parts):
            for partial in folder.glob(".*.partial"):  # left by a killed process
                if partial.is_file():
                    partial.unlink()
        self.checkpoints.load_newest(state)
        self.drop_records_after(state.step)
        self.history = History(self.records())

    def save_weights(self, state: TrainingState, folder: Path) -> None:
        """Write both nets as a weights folder, for `load`, `sample` and `eval`."""
        with writing(folder):
            # First, so that a kill in between leaves an older or a newer generator alone, and nothing untrue about it.
            for name in (TRAINING_NAME, DISCRIMINATOR_NAME):
                (folder / name).unlink(missing_ok=True)
        nets = {GENERATOR_NAME: state.trained_generator, DISCRIMINATOR_NAME: state.networks.discriminator}
        save_nets(folder, state.config, nets)
        with writing(folder):
            write_atomically(folder / TRAINING_NAME, _json(self.training_record(state)))

    def training_record(self, state: TrainingState) -> dict[str, Any]:
        """Return training.json: how the weights came about."""
        return {
            "steps": state.step,
            "images": state.images,
            "batch_size": self.settings.recipe.batch_size,
            "seed": self.settings.seed,
            "precision": self.settings.precision,
            "device": _device_name(state.device, self.settings.threads),
            "processes": state.processes.world_size,
            "seconds": round(state.seconds, 1),
            "dataset_digest": self.dataset_digest,
            "ganzoo": __version__,
            "torch": torch.__version__,
            "requires": plain(run_requirements(self.settings)),
            "settings": self.settings.to_json(),
            **({} if self.initial is None else {"initial": self.initial}),
        }


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn an error of the operating system about a run's folder into one line and how to fix it."""
    try:
        yield
    except OSError as error:
        raise TrainingError(
            f"cannot write to {path}: {error.strerror}.",
            hint=hint_for(error, "Free some disk space; ganzoo resume continues a run from its newest checkpoint."),
        ) from error


@contextmanager
def expendable(what: str) -> Iterator[None]:
    """Turn any error about a picture of a run into a warning: the training that it shows goes on without it."""
    try:
        yield
    except Exception as error:  # a full disk, or numbers and samples that cannot be drawn
        reason = (error.strerror if isinstance(error, OSError) else None) or first_sentence(error)
        _log.warning("Warning: %s cannot be written: %s. The training goes on.", what, reason)


def run_requirements(settings: TrainingSettings) -> tuple[Requirement, ...]:
    """Return the third-party plugins that take part in a run."""
    chosen = {"protocol": settings.eval_protocol, "metric": settings.best_metric}
    evaluated = {kind: [name] for kind, name in chosen.items() if name is not None}
    return merged(recipe_requirements(settings.recipe), requirements(evaluated))


def is_run(path: Path) -> bool:
    """Whether a folder holds a run."""
    return (path / "run.json").is_file()


def new_folder(name: str) -> Path:
    """Return where a run goes if nobody says so: `runs/<name>-<time>`, numbered if another began in this second."""
    first = Path("runs", f"{name}-{datetime.now():%Y%m%d-%H%M%S}")
    numbered = (first.with_name(f"{first.name}-{number}") for number in itertools.count(2))
    return next(path for path in itertools.chain([first], numbered) if not path.exists())


def check_free(path: Path) -> None:
    """Refuse a folder that already holds something. Raises TrainingError."""
    held = [entry.name for entry in contents(path) if entry.name != LOCK_NAME] if path.is_dir() else []
    if held or (path.exists() and not path.is_dir()):
        is_run = "run.json" in held
        raise TrainingError(
            f"{path} already holds " + ("a run." if is_run else "something else."),
            hint=f"Continue it with ganzoo resume {quoted(path)}, or choose another --out."
            if is_run
            else "Choose another --out.",
        )


def _resolved(folder: Path | None) -> str | None:
    return str(folder.resolve()) if folder is not None else None


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _json(document: Mapping[str, Any]) -> bytes:
    return (json.dumps(document, indent=2) + "\n").encode()


def _device_name(device: torch.device, threads: int | None) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    if device.type != "cpu":
        return device.type
    num = threads or torch.get_num_threads()
    return f"cpu ({num} thread{'s' if num > 1 else ''})"
