"""A repository of the Hub as the store holds it."""

from __future__ import annotations

from dataclasses import dataclass

from ganzoo.errors import ManifestError
from ganzoo.weights.manifest import WeightsFile
from ganzoo.weights.references import HubReference


@dataclass(frozen=True)
class HubSnapshot:
    """A repository at one commit, every file in the store."""

    reference: HubReference
    """Its revision is the commit."""
    files: tuple[WeightsFile, ...]

    def file(self, role: str) -> WeightsFile:
        """Return the one file with this role. Raises ManifestError."""
        for file in self.files:
            if file.role == role:
                return file
        raise ManifestError(f"{self.reference} has no {role} file.", hint="Pull it again with --force.")
