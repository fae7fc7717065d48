"""The extractors that one evaluation uses, each loaded once."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ganzoo import registry
from ganzoo.distributed.processes import SINGLE_PROCESS, Processes
from ganzoo.evaluation.features import ExtractedFeatures, extract, gather_features
from ganzoo.specs import Extractor, ExtractorSpec
from ganzoo.weights.store import home


class Extractors:
    """Registered extractors on one device."""

    def __init__(self, device: torch.device, processes: Processes = SINGLE_PROCESS) -> None:
        self.device, self.processes = device, processes
        self._loaded: dict[str, tuple[ExtractorSpec, Extractor]] = {}

    def get(self, name: str) -> tuple[ExtractorSpec, Extractor]:
        """Return an extractor. Raises UnknownNameError, PluginError, and EvaluationError without its weights."""
        if name not in self._loaded:
            spec = registry.extractors.get(name)
            with torch.random.fork_rng(devices=[]):  # building a net draws initial weights from the caller's stream
                self._loaded[name] = (spec, spec.load(self.device, home() / "extractors" / name))
        return self._loaded[name]

    def extract(self, name: str, images: Tensor) -> ExtractedFeatures:
        """Run an extractor over images, as `features.extract` does; the other ranks take their share.

        Only the first rank calls it, while the others `assist`.
        """
        spec, _ = self.get(name)
        self.processes.broadcast({"task": "extract", "extractor": name, "num": len(images), "block": spec.batch_size})
        features = self.extract_share(name, images, self.processes.shards(len(images), spec.batch_size))
        assert features is not None
        return features

    def extract_share(self, name: str, images: Tensor | None, shares: Sequence[slice]) -> ExtractedFeatures | None:
        """Do this rank's part; the first rank has the images, and is given the features."""
        spec, extractor = self.processes.run_on_all(lambda: self.get(name))
        own = images if self.processes.world_size == 1 else self.processes.scatter(images, shares)
        assert own is not None
        part = self.processes.run_on_all(lambda: extract(spec, extractor, own, self.device) if len(own) else None)
        return gather_features(part, self.processes, shares)

    def deviations(self) -> list[str]:
        """Return what is wrong with the weights of those that were asked for."""
        return [extractor.deviation for _, extractor in self._loaded.values() if extractor.deviation is not None]

    def used(self) -> list[dict[str, str | int]]:
        """Return what a report says of those that were asked for."""
        return [
            {"name": name, "sha256": extractor.sha256, "resize": spec.resize, "batch_size": spec.batch_size}
            for name, (spec, extractor) in self._loaded.items()
        ]
