"""The contracts between ganzoo and its plugins: frozen, keyword-only, torch-free.

A plugin provides data and callables; there are no base classes to inherit from. Importing this package, or a plugin's
`__init__`, does not load torch: builders and loaders import what they need inside.
"""

from ganzoo.specs.architectures import ArchitectureSpec
from ganzoo.specs.datasets import TEXT_BYTES, ArrayData, DatasetSpec, StreamedData, SyntheticData
from ganzoo.specs.evaluation import (
    EvaluationProtocol,
    Extractor,
    ExtractorSpec,
    Features,
    MetricInputs,
    MetricSpec,
)
from ganzoo.specs.registration import API_VERSION
from ganzoo.specs.samples import CurveAxes, LatentSpec, SampleKind, SampleSpec, Size, TextSpec
from ganzoo.specs.training import Adam, Optimizers, Rate, Recipe

__all__ = [
    "API_VERSION",
    "TEXT_BYTES",
    "Adam",
    "ArchitectureSpec",
    "ArrayData",
    "CurveAxes",
    "DatasetSpec",
    "EvaluationProtocol",
    "Extractor",
    "ExtractorSpec",
    "Features",
    "LatentSpec",
    "MetricInputs",
    "MetricSpec",
    "Optimizers",
    "Rate",
    "Recipe",
    "SampleKind",
    "SampleSpec",
    "Size",
    "StreamedData",
    "SyntheticData",
    "TextSpec",
]
