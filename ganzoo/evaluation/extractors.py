"""The extractors that one evaluation uses, each loaded once."""

from __future__ import annotations

import torch

from ganzoo import registry
from ganzoo.specs import Extractor, ExtractorSpec
from ganzoo.store import home


class Extractors:
    """Registered extractors on one device."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self._loaded: dict[str, tuple[ExtractorSpec, Extractor]] = {}

    def get(self, name: str) -> tuple[ExtractorSpec, Extractor]:
        """Return an extractor. Raises UnknownNameError, PluginError, and EvaluationError without its weights."""
        if name not in self._loaded:
            spec = registry.extractors.get(name)
            with torch.random.fork_rng(devices=[]):  # building a net draws initial weights from the caller's stream
                self._loaded[name] = (spec, spec.load(self.device, home() / "extractors" / name))
        return self._loaded[name]

    def deviations(self) -> list[str]:
        """Return what is wrong with the weights of those that were asked for."""
        return [extractor.deviation for _, extractor in self._loaded.values() if extractor.deviation is not None]

    def used(self) -> list[dict[str, str | int]]:
        """Return what a report says of those that were asked for."""
        return [
            {"name": name, "sha256": extractor.sha256, "resize": spec.resize, "batch_size": spec.batch_size}
            for name, (spec, extractor) in self._loaded.items()
        ]
