"""Metrics with the protocol that fixes them."""

from ganzoo.evaluation.measurement import Evaluation, MetricValue, evaluate, evaluate_gan, save_beside_run

__all__ = ["Evaluation", "MetricValue", "evaluate", "evaluate_gan", "save_beside_run"]
