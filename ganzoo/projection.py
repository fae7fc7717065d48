"""Pictures -> the latents with which a generator comes closest to them.

Gradient descent on z through the fixed generator (Lipton and Tripathi 2017, arXiv:1702.04782), from several starts,
with the log-density of a normal z as a penalty (Bora et al. 2017, arXiv:1703.03208, section 3).
"""

from __future__ import annotations

import io
import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from ganzoo.conditions import Labels, class_labels
from ganzoo.errors import GanzooError, UsageError, hint_for
from ganzoo.evaluation.extractors import Extractors
from ganzoo.rendering.picture import image_grid, png_bytes
from ganzoo.system.files import expanded, read_regular, write_atomically
from ganzoo.weights.latents import SavedLatents, write_latents

if TYPE_CHECKING:
    from PIL import Image

    from ganzoo.model import GAN
    from ganzoo.specs import LatentSpec

POOL = 1024
"""Latents that are drawn; the best of them for each picture are the starts."""

LEARNING_RATE = 0.05
PENALTY = 2e-3
"""Weight of the mean square of z, beside the mean square of the difference of pixels."""
FEATURE_WEIGHT = 0.1
"""Weight of the distance of features, relative to the length of the picture's own."""

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF")
MAX_FILE_BYTES = 1 << 28
MAX_PIXELS = 1 << 28


@dataclass(frozen=True)
class Projection:
    """The latents that were found for pictures."""

    latents: Tensor
    """float32 [num, *latent.shape], on the CPU."""
    labels: Tensor | None
    """int64 [num], the class that was chosen for each picture; None for a model without classes."""
    targets: Tensor
    """The pictures as the model's samples, float32 [num, channels, height, width] in [-1, 1]."""
    samples: Tensor
    """What the generator makes of the latents, of the same shape."""
    distances: tuple[float, ...]
    """Root mean square difference of each sample to its picture, of pixels in [-1, 1]."""

    def picture(self) -> Image.Image:
        """Draw each picture with its sample to the right of it."""
        pairs = torch.stack([self.targets, self.samples], dim=1).flatten(0, 1)
        pairs_in_a_row = max(1, round(math.sqrt(len(self.targets) / 2)))
        return image_grid(pairs, 2 * pairs_in_a_row)

    def save(self, path: Path, gan: GAN) -> None:
        """Write the latents as safetensors, for `ganzoo sample --latents`, and the comparison beside it as a PNG.

        Raises StoreError, GanzooError.
        """
        metadata = {"model": gan.name, "weights_sha256": gan.weights_sha256 or ""}
        write_latents(path, SavedLatents(self.latents, self.labels), metadata)
        try:
            write_atomically(path.with_suffix(".png"), png_bytes(self.picture()))
        except OSError as error:
            raise GanzooError(f"cannot write {path}: {error.strerror}.", hint=hint_for(error)) from error


def project(
    gan: GAN,
    pictures: Sequence[str | os.PathLike[str] | Image.Image] | Tensor,
    *,
    labels: Labels | None = None,
    features: str | None = None,
    starts: int = 8,
    steps: int = 300,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> Projection:
    """Find the latents whose samples are most like given pictures. The same request gives the same result on a CPU.

    Args:
        gan: a model of images.
        pictures: files, Pillow images, or a tensor [num, channels, height, width] in [-1, 1]. Files and images are
            turned as their EXIF data says, cropped to the model's shape at the centre, and resized.
        labels: class-conditional models only: the class of each picture, or one for all; None tries all classes.
        features: name of an extractor, such as `inception-2015`: its features count beside the pixels. It must be
            differentiable.
        starts: latents that are improved for each picture; the best one counts.
        steps: of gradient descent.
        seed: fixes the starts.
        progress: called with the number of steps done, and of all.

    Raises:
        UsageError: a model of other samples, of texts or of categorical latents, a picture that cannot be read, an
            extractor that is not differentiable, or numbers out of range.
        EvaluationError: the extractor's weights cannot be found.
    """
    spec, latent = gan.config.sample, gan.config.latent
    if spec.kind != "image" or latent.distribution == "categorical":
        what = "images" if spec.kind != "image" else "latents that are not categorical"
        raise UsageError("this model cannot be projected onto.", hint=f"Choose a model of {what}.")
    if spec.text is not None:
        raise UsageError(
            "a model of texts cannot be projected onto: it would have to know what a picture says.",
            hint="Choose an unconditional or class-conditional model.",
        )
    if not (1 <= starts <= POOL and steps >= 1):
        raise UsageError(f"cannot take {steps} steps from {starts} starts.", hint=f"Ask for 1 to {POOL} starts.")
    targets = _targets(pictures, spec.shape).to(gan.device)
    num = len(targets)
    given = None if labels is None else class_labels(spec, num, labels)
    distance = _pixels if features is None else _with_features(gan, targets, features)

    latents, chosen = _starts(gan, targets, given, starts, seed)
    rows = targets.repeat_interleave(starts, 0)  # [num * starts, channels, height, width]
    latents.requires_grad_()
    optimizer = torch.optim.Adam([latents], lr=LEARNING_RATE)
    # Down to a tenth, so that the last steps settle.
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps, eta_min=LEARNING_RATE / 10)
    for step in range(steps):
        loss = distance(gan.generate(latents, chosen), rows)
        if latent.distribution == "normal":
            loss = loss + PENALTY * latents.square().flatten(1).mean(1)
        optimizer.zero_grad()
        # A sum, so that no picture's gradient depends on how many there are.
        loss.sum().backward()
        optimizer.step()
        schedule.step()
        with torch.no_grad():
            _clamp(latents, latent)
        if progress is not None:
            progress(step + 1, steps)
    found = latents.detach()
    with torch.no_grad():
        samples = gan.generate(found, chosen)
        best = distance(samples, rows).view(num, starts).argmin(1) + torch.arange(num, device=found.device) * starts
        samples = samples[best]
        errors = _pixels(samples, targets).sqrt()
    return Projection(
        latents=found[best].cpu(),
        labels=None if chosen is None else chosen[best.cpu()],  # class labels are kept on the CPU
        targets=targets.cpu(),
        samples=samples.cpu(),
        distances=tuple(errors.tolist()),
    )


Distance = Callable[[Tensor, Tensor], Tensor]
"""(samples, targets), [rows, channels, height, width] each -> [rows]."""


def _pixels(samples: Tensor, targets: Tensor) -> Tensor:
    return (samples - targets).square().flatten(1).mean(1)


def _with_features(gan: GAN, targets: Tensor, name: str) -> Distance:
    """Return the distance of pixels and of an extractor's features. Raises UsageError, EvaluationError."""
    spec, extractor = Extractors(gan.device).get(name)
    if spec.kind != "image" or not extractor.differentiable:
        raise UsageError(
            f"gradients do not pass through the extractor {name!r}.", hint="Choose another one, or leave it out."
        )

    def values(images: Tensor) -> Tensor:
        return extractor.outputs((images + 1) * 127.5)["values"]  # float32 in [0, 255]

    with torch.no_grad():
        wanted = values(targets)  # [num, dim]

    def distance(samples: Tensor, rows: Tensor) -> Tensor:
        repeated = wanted.repeat_interleave(len(rows) // len(wanted), 0)
        apart = (values(samples) - repeated).square().sum(1) / repeated.square().sum(1)
        return _pixels(samples, rows) + FEATURE_WEIGHT * apart

    return distance


def _starts(gan: GAN, targets: Tensor, labels: Tensor | None, starts: int, seed: int) -> tuple[Tensor, Tensor | None]:
    """Return the best of POOL drawn latents for each picture, [num * starts, *latent.shape], and their classes."""
    spec = gan.config.sample
    drawn = gan.latents(POOL, seed)
    classes = class_labels(spec, POOL)  # in turn: every class is tried
    with torch.no_grad():
        samples = gan.generate(drawn, classes) if labels is None else None
        chosen, chosen_classes = [], []
        for index, target in enumerate(targets):
            if labels is not None:
                samples = gan.generate(drawn, int(labels[index]))
            assert samples is not None
            apart = _pixels(samples, target.expand_as(samples))
            best = apart.argsort(stable=True)[:starts]
            chosen.append(drawn[best])
            if classes is not None:
                own = classes[best.cpu()] if labels is None else labels[index].expand(starts)
                chosen_classes.append(own)
    return torch.cat(chosen), torch.cat(chosen_classes) if chosen_classes else None


def _clamp(latents: Tensor, latent: LatentSpec) -> None:
    """Keep bounded latents within their bounds."""
    if latent.distribution != "normal":
        bound = 1.0 if latent.distribution == "uniform" else latent.truncation
        latents.clamp_(-bound, bound)


def _targets(pictures: Any, shape: Sequence[int]) -> Tensor:
    """Return pictures as float32 [num, channels, height, width] in [-1, 1]. Raises UsageError."""
    if isinstance(pictures, Tensor):
        if pictures.shape[1:] != tuple(shape) or not len(pictures):
            raise UsageError(
                f"pictures must be [num, {', '.join(map(str, shape))}], not {list(pictures.shape)}.",
                hint="Pass files or Pillow images, which are resized.",
            )
        return pictures.detach().float()
    if isinstance(pictures, str | os.PathLike) or not pictures:
        raise UsageError("pictures must be a list of one or more.", hint='Pass a list: ["photo.png"]')
    return torch.stack([_target(picture, shape) for picture in pictures])


def _target(source: Any, shape: Sequence[int]) -> Tensor:
    from PIL import Image, ImageOps

    channels, height, width = shape
    image = source if isinstance(source, Image.Image) else _opened(expanded(source))
    image = ImageOps.exif_transpose(image)
    if image.has_transparency_data:  # onto white, as a viewer shows it
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image.convert("RGBA"))
    mode = {1: "L", 3: "RGB"}.get(channels)
    if mode is None:
        raise UsageError(f"pictures with {channels} channels are not read.", hint="Pass a tensor of the model's shape.")
    fitted = ImageOps.fit(image.convert(mode), (width, height), Image.Resampling.LANCZOS)
    pixels = torch.from_numpy(np.array(fitted)).view(height, width, channels).permute(2, 0, 1)
    return pixels.float() / 127.5 - 1


def _opened(path: Path) -> Any:
    """Read a picture of an ordinary format. Raises UsageError."""
    from PIL import Image

    hint = f"Name a picture ({', '.join(FORMATS)})."
    try:
        image = Image.open(io.BytesIO(read_regular(path, MAX_FILE_BYTES)), formats=FORMATS)
        fits = image.width * image.height <= MAX_PIXELS
        if fits:
            image.load()
    except Exception as error:  # damaged pictures make Pillow raise almost anything
        reason = getattr(error, "strerror", None) or "it is not a picture, or it is damaged"
        raise UsageError(f"cannot read {path}: {reason}.", hint=hint) from error
    if not fits:
        raise UsageError(f"{path} has {image.width} × {image.height} pixels.", hint="Make it smaller first.")
    return image
