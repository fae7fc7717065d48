"""What an evaluation found, and its file beside the run or folder."""

from ganzoo.evaluation.measurement import Evaluation, MetricValue
from ganzoo.evaluation.records import save_beside_run, saved_metrics

__all__ = ["Evaluation", "MetricValue", "save_beside_run", "saved_metrics"]
