"""Samples -> files in the form that a name asks for: one picture, single pictures, shards, or an array."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from ganzoo.errors import GanzooError, UsageError
from ganzoo.rendering.arrays import ARRAY_SUFFIXES, write_array
from ganzoo.rendering.files import save_picture
from ganzoo.rendering.folder import write_folder
from ganzoo.rendering.shards import write_shards
from ganzoo.specs import SampleSpec

if TYPE_CHECKING:
    from torch import Tensor

ShowProgress = Callable[[int, int], None]
"""(done, total): samples written so far, and samples in all."""


@dataclass(frozen=True)
class Target:
    """Where samples go, and in what form."""

    path: Path
    form: Literal["picture", "array", "folder", "shards"]
    shard_size: int | None = None
    """Samples in each shard."""


@dataclass(frozen=True)
class Written:
    """What was written."""

    path: Path
    num_files: int
    num_bytes: int


def parse_target(name: str, shard_size: int | None = None) -> Target:
    """Read from a name where samples go.

    `x.png` is one picture of all; `x.npy` and `x.safetensors` hold float32 [num, *shape]; a name that ends in a slash
    or has no suffix, or an empty folder, gets one numbered PNG for each sample, or tar shards of shard_size samples.
    Raises UsageError, also for a folder that is not empty.
    """
    path = Path(name).expanduser()
    suffix = path.suffix.lower()
    if name.endswith(("/", "\\")) or path.is_dir() or not suffix:
        if path.exists() and not (path.is_dir() and not any(path.iterdir())):
            raise UsageError(f"{path} exists already.", hint="Name another folder, or an empty one.")
        return Target(path, "folder" if shard_size is None else "shards", shard_size)
    if shard_size is not None:
        raise UsageError(f"{path} is one file, and shards need a folder.", hint=f"End it in a slash: --out {path}/")
    if suffix == ".png":
        return Target(path, "picture")
    if suffix not in ARRAY_SUFFIXES:
        raise UsageError(
            f"{path} names no known form.", hint="End it in .png, .npy or .safetensors, or in a slash for single files."
        )
    return Target(path, "array")


def write_samples(
    batches: Iterable[Tensor],
    num: int,
    spec: SampleSpec,
    target: Target,
    *,
    labels: Iterable[Tensor | None] | None = None,
    workers: int = 1,
    progress: ShowProgress | None = None,
) -> Written:
    """Write samples as they come; whatever stops it leaves nothing under the target's name.

    Args:
        batches: num samples in all, each batch [size, *spec.shape]; only for a picture are they all held in memory.
        num: how many.
        spec: what they are.
        target: where to, and in what form.
        labels: of shards: the classes of each batch, int64 [size], for members `.cls`.
        workers: of a folder and of shards: processes that draw, beside this one that generates; 1 for this one alone.
        progress: told how many of how many samples are written.

    Raises GanzooError when it cannot be written, UsageError for samples that cannot be drawn.
    """

    def report(done: int) -> None:
        if progress is not None:
            progress(done, num)

    path = target.path
    try:
        if target.form == "folder":
            return Written(path, *write_folder(batches, num, spec, path, workers, report))
        if target.shard_size is not None:
            return Written(path, *write_shards(batches, labels, num, spec, path, target.shard_size, workers, report))
        if target.form == "array":
            write_array(batches, (num, *spec.shape), path, report)
        else:
            import torch

            save_picture(torch.cat(list(batches)), spec, path)
        return Written(path, 1, path.stat().st_size)
    except OSError as error:
        raise GanzooError(
            f"cannot write {path}: {error.strerror}.", hint="Free some space, or choose another --out."
        ) from error
    except BrokenProcessPool as error:
        raise GanzooError(
            "a helping process was killed.", hint="Free some memory, or ask for fewer samples."
        ) from error
