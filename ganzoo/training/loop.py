"""The training loop, as an iterator of records: the command line, notebooks and tests all consume it.

What a step does is in `ganzoo/training/step.py`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from torch import Tensor

from ganzoo.errors import DivergedError
from ganzoo.evaluation.measurement import Evaluator
from ganzoo.model import GAN
from ganzoo.rendering import save_array, save_chart, save_picture, write_report
from ganzoo.system.devices import cpu_threads, synchronize
from ganzoo.training.collapse import CollapseAlarm
from ganzoo.training.engines.engine import Engine
from ganzoo.training.loggers import open_loggers
from ganzoo.training.networks import TRACKED
from ganzoo.training.precision import allow_tf32
from ganzoo.training.quality import BestWeights
from ganzoo.training.run import Run, expendable
from ganzoo.training.state import TrainingState

PICTURE_SAMPLES = 25
"""Samples on each picture."""


@dataclass(frozen=True)
class Record:
    """A line of metrics.jsonl. Losses and scores are means over the steps since the line before."""

    step: int
    images: int
    """Real samples that the discriminator has learned from."""
    loss_d: float
    loss_g: float
    score_real: float
    """Mean s(D(x)), 0 to 1."""
    score_fake: float
    """Mean s(D(G(z))), 0 to 1."""
    accuracy: float
    """Fraction of real and fake samples whose logit has the right sign, 0 to 1; 0.5 is guessing."""
    seconds: float
    """Time spent in steps since the run began, interruptions not included."""
    steps_per_second: float
    """Over the steps since the line before."""
    augment_probability: float | None = None
    """Probability of augmentation after this step, 0 to 1, where it is adaptive."""
    metrics: Mapping[str, float] = field(default_factory=dict)
    """Results of the evaluation after this step; empty without one."""
    protocol: str | None = None
    """Name of the protocol of that evaluation."""

    def to_json(self) -> dict[str, Any]:
        """Return the line: metrics among the other numbers, and the protocol only when there are metrics."""
        document = asdict(self)
        metrics, protocol = document.pop("metrics"), document.pop("protocol")
        if self.augment_probability is None:
            del document["augment_probability"]
        if not metrics:
            return document
        # `document` once more: a metric with the name of a field does not replace it.
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
    """Train to the last step, or to the step after which `should_stop` returns True, and save the run.

    Yields a record every `log_every` steps. Raises DivergedError when a loss is no longer finite; nothing later than
    the newest checkpoint is saved then. All ranks take the same steps; the main one writes.
    """
    settings, last_step, processes = run.settings, run.settings.recipe.steps, state.processes
    intervals = [settings.log_every, settings.sample_every, settings.checkpoint_every, settings.eval_every]
    best_weights = BestWeights(run, evaluator, state.step)
    stopped = False

    def due(interval: int) -> bool:
        return state.step % interval == 0 or state.step == last_step

    if state.step == last_step:  # the run was killed between its last checkpoint and its weights or its report
        with processes.on_main() as main:
            if main:
                run.save(state)
                save_report(run)
        return
    metrics = () if evaluator is None else evaluator.protocol.metrics
    alarm = processes.run_on_all(lambda: CollapseAlarm(run, state, metrics))
    with open_loggers(run, state) as loggers:
        while state.step < last_step and not stopped:
            # Take steps until something is due.
            # The next multiple of any interval: up to there the engine needs no decisions. An interval of None is off.
            target = min(last_step, *((state.step // interval + 1) * interval for interval in intervals if interval))
            stopped = advance(state, engine, target, should_stop)

            # Log and evaluate.
            evaluate = best_weights.is_due(state.step)
            if due(settings.log_every) or evaluate:
                record = take_record(state)
                # Checked before minutes are spent on it, and before such weights could be kept as the best.
                if evaluate:
                    with processes.on_main() as main:
                        if main:
                            check_finite(state)
                    record = replace(record, metrics=best_weights.evaluate(state), protocol=best_weights.protocol)
                with processes.on_main() as main:
                    if main:
                        line = record.to_json()
                        run.append_record(line)
                        loggers.record(line, record.metrics, record.protocol)
                        alarm.add_record(line)
                # Outside of every block in which ranks wait for each other: the caller's code runs here, and may take
                # its time.
                yield record

            # Save pictures and checkpoints.
            with processes.on_main() as main:
                if main and due(settings.sample_every):
                    samples = save_pictures(run, state)
                    alarm.add_samples(state.step, samples)
                    loggers.picture(state.step)
                if main and (due(settings.checkpoint_every) or stopped):
                    check_finite(state)
                    run.save(state)
                if main and (stopped or state.step == last_step):
                    save_report(run)


def advance(state: TrainingState, engine: Engine, target: int, should_stop: Callable[[], bool]) -> bool:
    """Take steps up to the target and add up their time; return whether `should_stop` ended it earlier."""
    started = time.perf_counter()
    try:
        # Once for many steps and not in each: switching states and flags would slow small nets down.
        with state.ambient_randomness(), allow_tf32(state.device), cpu_threads(state.settings.threads):
            while state.step < target:
                engine.step()
                if should_stop():
                    return True
            return False
    finally:
        # A GPU works through a queue: without waiting, the clock would only see how fast steps were queued. In
        # `finally`, because an interrupted run has spent the time too.
        synchronize(state.device)
        taken = time.perf_counter() - started
        state.seconds += taken
        state.summed_seconds += taken


def take_record(state: TrainingState) -> Record:
    """Return the means over the steps since the last record, and reset the sums. Raises DivergedError."""
    _check_losses(state)
    # One copy from the device for all six numbers.
    means = dict(zip(TRACKED, (state.networks.sums / state.summed_steps).tolist(), strict=True))
    # Real logits should be positive, fake ones negative: each half of the accuracy is (1 +- mean sign) / 2.
    means["accuracy"] = (2 + means.pop("sign_real") - means.pop("sign_fake")) / 4
    speed = state.summed_steps / state.summed_seconds if state.summed_seconds else 0.0
    augmentation = state.networks.augmentation
    state.networks.sums.zero_()
    state.summed_steps, state.summed_seconds = 0, 0.0
    return Record(
        step=state.step,
        images=state.images,
        seconds=round(state.seconds, 3),
        steps_per_second=round(speed, 2),
        augment_probability=float(augmentation.probability) if augmentation.adaptive is not None else None,
        **means,
    )


def _check_losses(state: TrainingState) -> None:
    # A loss that was not finite in any step makes its sum so: one look at the device for many steps.
    if not bool(state.networks.sums.isfinite().all()):
        first = state.step - state.summed_steps + 1
        raise _diverged(f"a loss became NaN or infinite between step {first} and step {state.step}")


def _diverged(what: str) -> DivergedError:
    return DivergedError(
        f"training diverged: {what}.",
        hint="Start a new run with a smaller learning rate (--lr), or with --rollbacks 3 if it happens rarely.",
    )


def check_finite(state: TrainingState) -> None:
    """Refuse to save a state that training could not continue from. Raises DivergedError."""
    _check_losses(state)
    # The losses are not enough: an update can overflow after the loss it was made from was still finite.
    for name, tensor in state.tensors().items():
        if tensor.is_floating_point() and not bool(tensor.isfinite().all()):
            raise _diverged(f"{name} became NaN or infinite by step {state.step}")


def save_report(run: Run) -> None:
    """Write report.html. A report that cannot be written is a warning."""
    with expendable("the report"):
        write_report(run.path)


def save_pictures(run: Run, state: TrainingState) -> Tensor:
    """Save samples of the current generator, of the same latents each time, and the records so far as charts.

    Samples that are not drawn are saved as an array. Returns the samples, [PICTURE_SAMPLES, *shape].
    """
    net = state.trained_generator
    was_training = net.training
    # Sampling has a generator of its own, so that pictures do not change the training.
    samples = GAN(net.eval(), state.config).sample(PICTURE_SAMPLES, seed=run.settings.seed)
    net.train(was_training)
    if state.config.sample.kind == "tensor":
        with expendable("the array of samples"):
            save_array(samples, run.sample_path(state.step, ".npy"))
    else:
        with expendable("the sample picture"):
            facts = {"recipe": state.config.recipe, "seed": str(run.settings.seed), "step": str(state.step)}
            save_picture(samples, state.config.sample, run.sample_path(state.step), facts)
    with expendable("the charts"):
        save_chart(run.history, f"{state.config.recipe}, seed {run.settings.seed}: step {state.step:,}", run.chart_path)
    return samples
