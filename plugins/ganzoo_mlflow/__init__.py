"""Progress of a training in MLflow."""

from __future__ import annotations

from ganzoo.deferred import deferred
from ganzoo.specs import LoggerSpec

MLFLOW = LoggerSpec(
    name="mlflow",
    summary="MLflow at MLFLOW_TRACKING_URI; MLFLOW_EXPERIMENT_NAME names the experiment, by default ganzoo",
    begin=deferred("ganzoo_mlflow.tracking:begin"),
    module="mlflow",
    install="pip install 'ganzoo[mlflow]'",
)
