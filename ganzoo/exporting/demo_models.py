"""The models of the demo page: what each of its controls asks of them."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from ganzoo.conditions import condition_batches
from ganzoo.config import assignments_layer
from ganzoo.errors import UsageError
from ganzoo.model import GAN, gan_from_bytes
from ganzoo.randomness import interpolate_latents, sample_latents
from ganzoo.rendering import check_drawable, picture
from ganzoo.sources import location, resolve
from ganzoo.system.devices import find_device
from ganzoo.validation import plain
from ganzoo.weights.building import num_parameters, sampling_options
from ganzoo.weights.manifest import Zoo, measured

if TYPE_CHECKING:
    from PIL import Image

    from ganzoo.hub.client import Access

MAX_SAMPLES = 100
"""In one picture."""
MAX_SEED = (1 << 53) - 1
"""The largest whole number that a browser counts with."""
ALL_CLASSES = "all in turn"
_WALKING = 16
"""Samples in the picture of a walk."""

Result = TypeVar("Result")


@dataclass
class Model:
    """A model of the page."""

    name: str
    """Its pinned reference."""
    gan: GAN
    metrics: Sequence[Mapping[str, Any]]
    license: str | None
    lock: threading.Lock = field(default_factory=threading.Lock)

    def sample(self, num: float, seed: float, label: str | None, text: str | None, options: str | None) -> Image.Image:
        """Return a picture of the first samples of a seed. Raises UsageError."""
        num, seed = _whole(num, "the number of samples", 1, MAX_SAMPLES), _whole(seed, "the seed", 0, MAX_SEED)
        spec = self.gan.config.sample
        samples = self._alone(
            lambda: self.gan.sample(
                num, seed=seed, labels=self._label(label), texts=self._text(text), options=self._options(options)
            )
        )
        return picture(samples.cpu(), spec)

    def walk(
        self, start: float, end: float, share: float, label: str | None, text: str | None, options: str | None
    ) -> Image.Image:
        """Return a picture of samples on their way from one seed (share 0) to another (share 1). Raises UsageError."""
        first, last = (_whole(seed, "a seed", 0, MAX_SEED) for seed in (start, end))
        if not isinstance(share, int | float) or not 0 <= share <= 1:
            raise UsageError("the share of the way must be from 0 to 1.", hint="Move the slider.")
        config = self.gan.config
        latents = [sample_latents(config.latent, _WALKING, seed) for seed in (first, last)]
        condition = next(condition_batches(config.sample, _WALKING, self._label(label), self._text(text), _WALKING))
        between = interpolate_latents(config.latent, latents[0], latents[1], share)
        samples = self._alone(lambda: self.gan.generate(between, condition, seed=first, options=self._options(options)))
        return picture(samples.cpu(), config.sample)

    def _alone(self, generate: Callable[[], Result]) -> Result:
        # Sampling seeds torch's global generators for its batch, which threads share.
        with self.lock:
            return generate()

    def _label(self, label: str | None) -> int | None:
        classes = self.gan.config.sample.classes
        if classes is None or label in (None, ALL_CLASSES):
            return None
        if label not in classes:
            raise UsageError("unknown class.", hint="Choose one of the list.")
        return classes.index(label)

    def _text(self, text: str | None) -> str | None:
        return text or None if self.gan.config.sample.text is not None else None

    def _options(self, options: str | None) -> Mapping[str, Any] | None:
        assignments = [part for part in (options or "").replace(",", " ").split() if part]
        return assignments_layer(assignments).values or None

    @property
    def default_options(self) -> str:
        """The sampling options with their defaults, as `KEY=VALUE`; empty for most models."""
        return " ".join(f"{key}={value}" for key, value in plain(sampling_options(self.gan.config, None)).items())

    @property
    def card(self) -> str:
        """What the model is, in Markdown; names of others are code."""
        config = self.gan.config
        shape, latent = (" × ".join(map(str, spec.shape)) for spec in (config.sample, config.latent))
        rows = [
            ("recipe", config.recipe),
            ("architecture", config.architecture),
            ("dataset", config.dataset),
            ("samples", f"{config.sample.kind}, {shape}"),
            ("latents", f"{latent}, {config.latent.distribution.replace('_', ' ')}"),
            ("parameters", f"{num_parameters(self.gan.generator):,}"),
            ("licence", self.license or "not stated"),
            ("sha256", self.gan.weights_sha256 or ""),
        ]
        lines = [
            f"| model | {_code(self.name)} |",
            "|---|---|",
            *(f"| {key} | {_code(value)} |" for key, value in rows),
        ]
        if self.metrics:
            lines += ["", "| metric | value | protocol |", "|---|---|---|"]
            for metric in self.metrics:
                value = measured(metric["value"], metric["std"])
                lines.append(f"| {_code(metric['name'])} | {value} | {_code(metric['protocol'])} |")
        command = f"ganzoo sample {self.name} --seed 0 --out samples.png"
        return "\n".join([*lines, "", "On the command line:", "", "```console", f"$ {_plain(command)}", "```"])


def _code(text: object) -> str:
    return f"`{_plain(text)}`" if text else ""


def _plain(text: object) -> str:
    """Return text of others on one line, without signs that Markdown or HTML would read."""
    return " ".join(str(text).translate({ord(sign): " " for sign in "`<>|[]"}).split())


def _whole(value: object, what: str, least: int, most: int) -> int:
    """Return a number of a browser, which sends 3.0 for 3. Raises UsageError."""
    if (
        isinstance(value, bool)
        or not isinstance(value, int | float)
        or value != value // 1
        or not least <= value <= most
    ):
        raise UsageError(f"{what} must be a whole number from {least} to {most}.", hint="Change it.")
    return int(value)


def load_models(
    references: Sequence[str | os.PathLike[str]], *, device: str = "cpu", access: Access | None = None
) -> dict[str, Model]:
    """Load models by their references; without any, all that are on this machine and can be drawn.

    Raises UsageError for models of tensors, or if there are none, and what `ganzoo.load` raises.
    """
    named = bool(references)
    found: Sequence[Any] = references or [entry for entry in Zoo().entries if location(entry) != "missing"]
    models = {}
    for reference in found:
        source = resolve(reference, access)
        gan = gan_from_bytes(source.read("config"), source.read("generator"), source.reference, source.entry)
        if gan.config.sample.kind == "tensor" and not named:
            continue
        check_drawable(1, gan.config.sample)
        models[source.reference] = Model(
            source.reference, gan.to(find_device(device)), list(source.metrics), source.license
        )
    if not models:
        raise UsageError("there are no models on this machine.", hint="Name one: ganzoo demo mnist-mlp")
    return models
