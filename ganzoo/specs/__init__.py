"""The contracts between ganzoo and its plugins: frozen, keyword-only, torch-free.

A plugin provides data and callables; there are no base classes to inherit from. Importing this package, or a plugin's
`__init__`, does not load torch: builders and loaders import what they need inside.
"""

from ganzoo.specs.architectures import ArchitectureSpec
from ganzoo.specs.datasets import TEXT_BYTES, ArrayData, DatasetSpec, StreamedData, Suggestion, SyntheticData
from ganzoo.specs.evaluation import (
    EvaluationProtocol,
    Extractor,
    ExtractorSpec,
    Features,
    MetricInputs,
    MetricSpec,
)
from ganzoo.specs.loggers import LoggedRun, Logger, LoggerSpec
from ganzoo.specs.losses import (
    AugmentationSpec,
    Discriminators,
    GeneratorRegularizerInputs,
    LossSpec,
    RegularizerInputs,
    RegularizerSpec,
)
from ganzoo.specs.optimizers import SGD, Adam, AdamW, Optimizers, OptimizerSpec, RegisteredOptimizer, RMSprop
from ganzoo.specs.registration import API_VERSION
from ganzoo.specs.samples import CurveAxes, LatentSpec, SampleKind, SampleSpec, Size, TextSpec
from ganzoo.specs.schedules import Number, Points, Schedule
from ganzoo.specs.training import AdaptiveProbability, Rate, Recipe, Regularization

__all__ = [
    "API_VERSION",
    "SGD",
    "TEXT_BYTES",
    "Adam",
    "AdamW",
    "AdaptiveProbability",
    "ArchitectureSpec",
    "ArrayData",
    "AugmentationSpec",
    "CurveAxes",
    "DatasetSpec",
    "Discriminators",
    "EvaluationProtocol",
    "Extractor",
    "ExtractorSpec",
    "Features",
    "GeneratorRegularizerInputs",
    "LatentSpec",
    "LoggedRun",
    "Logger",
    "LoggerSpec",
    "LossSpec",
    "MetricInputs",
    "MetricSpec",
    "Number",
    "OptimizerSpec",
    "Optimizers",
    "Points",
    "RMSprop",
    "Rate",
    "Recipe",
    "RegisteredOptimizer",
    "Regularization",
    "RegularizerInputs",
    "RegularizerSpec",
    "SampleKind",
    "SampleSpec",
    "Schedule",
    "Size",
    "StreamedData",
    "Suggestion",
    "SyntheticData",
    "TextSpec",
]
