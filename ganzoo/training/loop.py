"""The training loop: an iterator of records that the command line, a notebook and a test consume alike."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from typing import Any

from ganzoo.errors import DivergedError
from ganzoo.evaluation.measurement import Evaluator
from ganzoo.model import GAN
from ganzoo.rendering import save_chart, save_picture
from ganzoo.system.devices import synchronize
from ganzoo.training.engines.engine import Engine
from ganzoo.training.networks import TRACKED
from ganzoo.training.precision import allow_tf32
from ganzoo.training.quality import Quality
from ganzoo.training.run import Run, writing
from ganzoo.training.state import TrainingState
from ganzoo.training.tensorboard import Events, open_events

PICTURE_SAMPLES = 25
"""Samples on each picture, from the same latents every time."""


@dataclass(frozen=True)
class Record:
    """A line of metrics.jsonl: losses and scores are means over the steps since the line before."""

    step: int
    images: int
    """Real samples that the discriminator has seen."""
    loss_d: float
    loss_g: float
    score_real: float
    """Mean s(D(x)), 0 to 1."""
    score_fake: float
    """Mean s(D(G(z))), 0 to 1."""
    accuracy: float
    """Share of real and fake samples whose logit has the right sign, 0 to 1; 0.5 is guessing."""
    seconds: float
    """Time spent in steps since the run began, whatever the number of interruptions."""
    steps_per_second: float
    """Over the steps since the line before."""
    metrics: Mapping[str, float] = field(default_factory=dict)
    """What an evaluation after this step measured; empty when there was none."""
    protocol: str | None = None
    """Name of the protocol that the metrics were measured under."""

    def to_json(self) -> dict[str, Any]:
        """Return the line, the metrics among the other numbers; without an evaluation it does not speak of one."""
        document = asdict(self)
        metrics, protocol = document.pop("metrics"), document.pop("protocol")
        if not metrics:
            return document
        # A metric that is called like a field does not hide it.
        return document | metrics | document | {"protocol": protocol}


def never() -> bool:
    """Do not stop."""
    return False


def training(
    run: Run,
    state: TrainingState,
    engine: Engine,
    evaluator: Evaluator | None = None,
    should_stop: Callable[[], bool] = never,
) -> Iterator[Record]:
    """Take a run to its last step, or to the step after which `should_stop` says so, and save it.

    Yields a record every `log_every` steps. Raises DivergedError when a loss is no longer finite; nothing later than
    the newest checkpoint is saved then. Every rank takes the same steps and decisions; the first one writes.
    """
    settings, last, processes = run.settings, run.settings.recipe.steps, state.processes
    intervals = (settings.log_every, settings.sample_every, settings.checkpoint_every, settings.eval_every)
    quality = Quality(run, evaluator, state.step)
    stopped = False
    if state.step == last:
        processes.run_on_main(lambda: run.save(state))  # the run was killed between its last checkpoint and its weights
        return
    with open_events(run, state) as events:
        while state.step < last and not stopped:
            target = min(last, *(_next_multiple(state.step, interval) for interval in intervals if interval))
            stopped = advance(state, engine, target, should_stop)

            if state.step % settings.log_every == 0 or state.step == last or quality.is_due(state.step):
                record = processes.run_on_all(partial(take_record, state))
                if quality.is_due(state.step):
                    processes.run_on_main(partial(_check_state, state))
                    record = replace(record, metrics=quality.measure(state), protocol=quality.protocol)
                processes.run_on_main(partial(_write_record, record, run, events))
                yield record
            if state.step % settings.sample_every == 0 or state.step == last:
                processes.run_on_main(partial(_write_pictures, state, run, events))
            if state.step % settings.checkpoint_every == 0 or state.step == last or stopped:
                _join_sums(state)
                processes.run_on_main(partial(_write_checkpoint, state, run))


def advance(state: TrainingState, engine: Engine, target: int, should_stop: Callable[[], bool]) -> bool:
    """Take steps up to the target, keeping time; return whether `should_stop` ended it."""
    started = time.perf_counter()
    try:
        with state.ambient_randomness(), allow_tf32(state.device):
            while state.step < target:
                engine.step()
                if should_stop():
                    return True
            return False
    finally:
        synchronize(state.device)
        taken = time.perf_counter() - started
        state.seconds += taken
        state.summed_seconds += taken


def _write_record(record: Record, run: Run, events: Events) -> None:
    line = record.to_json()
    run.append_record(line)
    events.add_record(line)


def _write_pictures(state: TrainingState, run: Run, events: Events) -> None:
    save_pictures(run, state)
    events.add_picture(state.step)


def _write_checkpoint(state: TrainingState, run: Run) -> None:
    _check_state(state)
    run.save(state)


def _join_sums(state: TrainingState) -> None:
    """Let the sums of every rank be the mean of all."""
    (mean,) = state.processes.all_reduce_mean([state.networks.sums])
    state.networks.sums.copy_(mean)


def take_record(state: TrainingState) -> Record:
    """Read the means since the last record over all ranks, and begin anew. Raises DivergedError."""
    _join_sums(state)
    _check_finite(state)
    means = dict(zip(TRACKED, (state.networks.sums / state.summed_steps).tolist(), strict=True))
    means["accuracy"] = (2 + means.pop("sign_real") - means.pop("sign_fake")) / 4
    speed = state.summed_steps / state.summed_seconds if state.summed_seconds else 0.0
    state.networks.sums.zero_()
    state.summed_steps, state.summed_seconds = 0, 0.0
    recipe = state.settings.recipe
    return Record(
        step=state.step,
        images=state.step * recipe.discriminator_steps * recipe.batch_size,
        seconds=round(state.seconds, 3),
        steps_per_second=round(speed, 2),
        **means,
    )


def _check_finite(state: TrainingState) -> None:
    if not bool(state.networks.sums.isfinite().all()):
        first = state.step - state.summed_steps + 1
        raise _diverged(f"a loss became NaN or infinite between step {first} and step {state.step}")


def _diverged(what: str) -> DivergedError:
    return DivergedError(
        f"training diverged: {what}.",
        hint="Start anew with a smaller learning rate (--set optimizers.generator.learning_rate=…).",
    )


def _check_state(state: TrainingState) -> None:
    """Refuse to save what could not be taken up again. Raises DivergedError."""
    _check_finite(state)
    for name, tensor in state.tensors().items():
        if tensor.is_floating_point() and not bool(tensor.isfinite().all()):
            raise _diverged(f"{name} became NaN or infinite by step {state.step}")


def save_pictures(run: Run, state: TrainingState) -> None:
    """Draw the run's fixed latents with the generator of this moment, and the records so far as charts."""
    net = state.trained_generator
    was_training = net.training
    samples = GAN(net.eval(), state.config).sample(PICTURE_SAMPLES, seed=run.settings.seed)
    net.train(was_training)
    with writing(run.path):
        save_picture(samples, state.config.sample, run.sample_path(state.step))
        save_chart(run.history, f"{state.config.recipe}, seed {run.settings.seed}: step {state.step:,}", run.chart_path)


def _next_multiple(step: int, interval: int) -> int:
    return (step // interval + 1) * interval
