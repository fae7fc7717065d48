"""Metrics with the protocol that fixes them."""

from ganzoo.evaluation.measurement import Evaluation, Evaluator, MetricValue, evaluate, evaluate_gan, find_protocol
from ganzoo.evaluation.records import save_beside_run, saved_metrics

__all__ = [
    "Evaluation",
    "Evaluator",
    "MetricValue",
    "evaluate",
    "evaluate_gan",
    "find_protocol",
    "save_beside_run",
    "saved_metrics",
]
