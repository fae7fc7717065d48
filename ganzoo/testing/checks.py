"""What a check is: a function of an example, which raises an error that says what to change."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import KW_ONLY, dataclass, field
from pathlib import Path
from typing import Any

from ganzoo.errors import GanzooError, shortened
from ganzoo.registry import REGISTRIES, Registry
from ganzoo.specs import LatentSpec, SampleSpec
from ganzoo.weights.manifest import WeightsEntry


class CheckError(AssertionError):
    """A plugin that breaks a contract.

    Attributes:
        what: what was found, and what was expected; one sentence.
        change: what its author has to change; one sentence.
    """

    def __init__(self, what: str, change: str) -> None:
        super().__init__(f"{what}\nTo fix it: {change}")
        self.what, self.change = what, change


class CheckSkippedError(Exception):
    """A check that is impossible here, such as of data whose files are missing; `str(error)` says why."""


@dataclass(frozen=True)
class Example:
    """A spec, with what its checks run on. Choose small nets: every check builds them again."""

    spec: Any
    """One of `ganzoo.specs`, or a `WeightsEntry`."""
    _: KW_ONLY
    config: Mapping[str, Any] | None = None
    """Values for the config of an architecture, a dataset or an optimizer. None: the defaults; for an architecture,
    those of the first recipe that uses it. For a regularizer that names architectures: of the first of them."""
    latent: LatentSpec | None = None
    """Architectures, and such regularizers, only. None: that of the recipe, else 8 normal components."""
    sample: SampleSpec | None = None
    """Architectures, such regularizers, metrics and extractors only. None: that of the dataset of a recipe or protocol
    that uses it."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Recipes only: dotted key -> value, as for `ganzoo.train`, for example to make its nets smaller."""
    data_dir: Path | None = None
    """Folder with files of datasets. None: what is in the store; nothing is downloaded."""
    evaluate: bool = False
    """Weights only: whether their published numbers are measured again, which may take long."""

    @property
    def name(self) -> str:
        """Name of the spec, or reference of the weights."""
        return str(self.spec.reference) if isinstance(self.spec, WeightsEntry) else self.spec.name

    @property
    def kind(self) -> str:
        """architecture, dataset, recipe, metric, ..., or weights."""
        return "weights" if isinstance(self.spec, WeightsEntry) else registry_of(self.spec).kind


Check = Callable[[Example], None]
"""Raises CheckError or CheckSkippedError. Its name is the claim that it checks."""


def expect(condition: object, what: str, change: str) -> None:
    """Raise CheckError unless a condition holds."""
    if not condition:
        raise CheckError(what, change)


@contextlib.contextmanager
def blamed(function: str) -> Iterator[None]:
    """Turn exceptions of a plugin's code into a CheckError that says what was called."""
    try:
        yield
    except (CheckError, GanzooError, MemoryError):
        raise
    except Exception as error:
        raise CheckError(
            f"{function} raised {type(error).__name__}: {shortened(error).rstrip('.')}.",
            "See the traceback (GANZOO_DEBUG=1 on the command line), and change the line that it ends with.",
        ) from error


def registry_of(spec: object) -> Registry[Any]:
    """Return the registry of a spec's kind. Raises TypeError for what is not a spec."""
    for registry in REGISTRIES:
        if isinstance(spec, registry.spec_type):
            return registry
    raise TypeError(f"{type(spec).__name__} is not a spec of ganzoo.specs; see ganzoo.testing.Example")
