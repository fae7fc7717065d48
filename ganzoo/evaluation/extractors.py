"""The extractors that one evaluation uses, each loaded once."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from ganzoo import registry
from ganzoo.data.packing import ShowProgress
from ganzoo.distributed.processes import SINGLE_PROCESS, Processes
from ganzoo.errors import EvaluationError
from ganzoo.evaluation.features import ExtractedFeatures, StoredRows, extract
from ganzoo.guard import guarded
from ganzoo.specs import Extractor, ExtractorSpec, SampleKind
from ganzoo.weights.store import home


class Extractors:
    """Registered extractors on one device. All ranks must call the methods together."""

    def __init__(
        self, device: torch.device, processes: Processes = SINGLE_PROCESS, progress: ShowProgress | None = None
    ) -> None:
        self.device, self.processes, self._progress = device, processes, progress
        self._loaded: dict[str, tuple[ExtractorSpec, Extractor]] = {}

    def get(self, name: str) -> tuple[ExtractorSpec, Extractor]:
        """Return an extractor. Raises UnknownNameError, PluginError, and EvaluationError without its weights."""
        if name not in self._loaded:
            spec = registry.extractors.get(name)
            with torch.random.fork_rng(devices=[]):  # building a net draws initial weights from the caller's stream
                # The main rank of each machine first: its download is then in the store for the others.
                extractor = self.processes.main_first(lambda: self._load(spec))
            self._loaded[name] = spec, extractor
        return self._loaded[name]

    def _load(self, spec: ExtractorSpec) -> Extractor:
        with guarded(registry.extractors, spec.name, "load"):
            return spec.load(self.device, _folder(spec.name))

    def at_hand(self, name: str) -> bool:
        """Whether an extractor is registered, and its weights need no download."""
        if name not in registry.extractors.names():
            return False
        spec = registry.extractors.get(name)
        with guarded(registry.extractors, name, "at_hand"):
            return spec.at_hand is None or spec.at_hand(_folder(name))

    def extract(self, name: str, samples: Tensor | StoredRows, kind: SampleKind) -> ExtractedFeatures:
        """Run an extractor over samples of one kind, as `features.extract` does.

        Raises EvaluationError for a kind that it does not take.
        """
        taken = registry.extractors.get(name).kind
        if kind != taken:  # before weights are downloaded for nothing
            raise EvaluationError(
                f"the extractor {name} takes {taken}s, not samples of shape {list(samples[:1].shape[1:])}.",
                hint="Choose a metric of the model's own dataset.",
            )
        spec, extractor = self.get(name)
        return extract(spec, extractor, samples, self.device, self.processes, self._progress)

    def deviations(self) -> list[str]:
        """Return what is wrong with the weights of the extractors used so far."""
        return [extractor.deviation for _, extractor in self._loaded.values() if extractor.deviation is not None]

    def used(self) -> list[dict[str, str | int]]:
        """Return what a report says of the extractors used so far."""
        return [
            {"name": name, "sha256": extractor.sha256, "resize": spec.resize, "batch_size": spec.batch_size}
            for name, (spec, extractor) in self._loaded.items()
        ]


def _folder(name: str) -> Path:
    return home() / "extractors" / name
