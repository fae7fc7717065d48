"""A plugin-based GAN model zoo with verified pretrained weights.

    import ganzoo
    gan = ganzoo.load("mnist-mlp")
    images = gan.sample(64, seed=0)     # float32 [64, 1, 28, 28] in [-1, 1]

Importing this package does not import torch: the names below are imported on first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ganzoo.errors import GanzooError
from ganzoo.version import __version__

if TYPE_CHECKING:
    from ganzoo.evaluation.measurement import evaluate
    from ganzoo.evaluation.neighbours import neighbours
    from ganzoo.exporting import export
    from ganzoo.model import GAN
    from ganzoo.publishing.push import push
    from ganzoo.rendering.sample import sample
    from ganzoo.sources import list_models, load, pull, verify
    from ganzoo.training import resume, train

__all__ = [
    "GAN",
    "GanzooError",
    "__version__",
    "evaluate",
    "export",
    "list_models",
    "load",
    "neighbours",
    "pull",
    "push",
    "resume",
    "sample",
    "train",
    "verify",
]

_HOME = {
    "GAN": "model",
    "evaluate": "evaluation.measurement",
    "export": "exporting",
    "list_models": "sources",
    "load": "sources",
    "neighbours": "evaluation.neighbours",
    "pull": "sources",
    "push": "publishing.push",
    "resume": "training",
    "sample": "rendering.sample",
    "train": "training",
    "verify": "sources",
}

if not TYPE_CHECKING:  # a type checker would take any name for one of ours

    def __getattr__(name: str) -> Any:
        if name not in _HOME:
            raise AttributeError(f"module 'ganzoo' has no attribute {name!r}")
        return getattr(import_module(f".{_HOME[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted(__all__)
