"""A run in MLflow, at MLFLOW_TRACKING_URI."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag

from ganzoo.specs import LoggedRun, Logger

_TAG = "ganzoo.run"
_MAX_VALUE = 500
"""Characters of a parameter's value that every version of MLflow takes."""
_STATUS = {"finished": "FINISHED", "stopped": "KILLED", "failed": "FAILED"}


def begin(run: LoggedRun) -> Logger:
    """Open the run; a resumed one goes on where it was."""
    if run.offline:
        # A folder in place of a server, which MLflow 3 refuses without this variable.
        os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")
        client = MlflowClient((run.path / "mlflow").resolve().as_uri())
    else:
        client = MlflowClient()
    experiment = os.environ.get("MLFLOW_EXPERIMENT_NAME", "ganzoo")
    found = client.get_experiment_by_name(experiment)
    experiment_id = client.create_experiment(experiment) if found is None else found.experiment_id
    run_id = _find(client, experiment_id, run)

    def log(prefix: str, step: int, numbers: Mapping[str, Any]) -> None:
        now = round(time.time() * 1000)
        metrics = [
            Metric(f"{prefix}/{name}", value, now, step)
            for name, value in numbers.items()
            if name != "step" and type(value) in (int, float)
        ]
        client.log_batch(run_id, metrics=metrics)

    def record(numbers: Mapping[str, Any]) -> None:
        log("training", numbers["step"], numbers)

    def evaluation(step: int, protocol: str, metrics: Mapping[str, float]) -> None:
        log(f"evaluation/{protocol}", step, metrics)

    def picture(step: int, path: Path) -> None:
        client.log_artifact(run_id, str(path), "samples")

    def end(status: str) -> None:
        client.set_terminated(run_id, _STATUS[status])

    return Logger(record=record, picture=picture, evaluation=evaluation, end=end)


def _find(client: MlflowClient, experiment_id: str, run: LoggedRun) -> str:
    """Return the id of this run in MLflow, which is created the first time."""
    known = client.search_runs([experiment_id], f"tags.`{_TAG}` = '{run.id}'", max_results=1)
    if known:
        run_id: str = known[0].info.run_id
        client.update_run(run_id, status="RUNNING")
        return run_id
    created = client.create_run(experiment_id, run_name=run.path.resolve().name, tags={_TAG: run.id})
    # Once only: MLflow refuses other values for a parameter, and settings such as log_every may change.
    params = [Param(key, str(value)[:_MAX_VALUE]) for key, value in _flat(run.settings)]
    for start in range(0, len(params), 100):  # its limit for one call
        client.log_batch(created.info.run_id, params=params[start : start + 100])
    client.log_batch(created.info.run_id, tags=[RunTag("ganzoo.recipe", run.recipe)])
    return str(created.info.run_id)


def _flat(settings: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in settings.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
