"""The files of a weights folder. A repository on the Hub holds the same ones under the same names."""

from __future__ import annotations

from dataclasses import dataclass

CONFIG_NAME = "config.json"
GENERATOR_NAME = "model.safetensors"
DISCRIMINATOR_NAME = "discriminator.safetensors"
TRAINING_NAME = "training.json"
CARD_NAME = "README.md"
SAMPLES_NAME = "samples.png"
SIGNATURE_NAME = "model.sig"
PREVIEW_NAME = "preview.png"
"""A few samples beside bundled weights, for `ganzoo show`, which loads no torch. Not pinned, and so not in FILES."""


@dataclass(frozen=True, kw_only=True)
class FileKind:
    """What a file of that name is."""

    role: str
    """How a manifest calls it."""
    max_size: int
    """The most bytes that are taken from a repository."""
    needed: bool = False
    """Whether a model cannot be loaded without it."""
    trained: bool = False
    """Whether a training writes it; the others are made when weights are published."""


FILES = {
    CONFIG_NAME: FileKind(role="config", max_size=1 << 20, needed=True, trained=True),
    GENERATOR_NAME: FileKind(role="generator", max_size=4 << 30, needed=True, trained=True),
    DISCRIMINATOR_NAME: FileKind(role="discriminator", max_size=4 << 30, trained=True),
    TRAINING_NAME: FileKind(role="training", max_size=16 << 20, trained=True),
    CARD_NAME: FileKind(role="card", max_size=4 << 20),
    SAMPLES_NAME: FileKind(role="samples", max_size=64 << 20),
    SIGNATURE_NAME: FileKind(role="signature", max_size=4 << 20),
}
"""Every file that ganzoo reads or writes; others in a folder or repository are ignored."""

NAMES = {kind.role: name for name, kind in FILES.items()}
"""Role -> file name."""

NEEDED_ROLES = frozenset(kind.role for kind in FILES.values() if kind.needed)
TRAINED_ROLES = frozenset(kind.role for kind in FILES.values() if kind.trained)
