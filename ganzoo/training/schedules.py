"""The numbers of a recipe that change from step to step."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Any, NamedTuple

from torch import Tensor

from ganzoo.specs import AdaptiveProbability, Number, Points, Recipe, Regularization, Schedule
from ganzoo.specs.optimizers import Optimizer
from ganzoo.training.optimizers import optimizer_config


def value_at(number: Number[float], step: int, num_steps: int) -> float:
    """Return the value of a number in the step that comes after `step` others, in a run of `num_steps`."""
    if isinstance(number, Points):
        return _between(number.points, step)
    if not isinstance(number, Schedule):
        return number
    if step < number.warmup_steps:
        return number.start * (step + 1) / number.warmup_steps
    length = (number.steps or num_steps) - number.warmup_steps
    done = min(1.0, (step - number.warmup_steps) / max(length, 1))
    # The weights add up to 1, so that start and end are reached exactly.
    start_weight = 1 - done if number.kind == "linear" else (1 + math.cos(math.pi * done)) / 2
    return number.start * start_weight + number.end * (1 - start_weight)


def _between(points: Sequence[tuple[int, float]], step: int) -> float:
    index = bisect_right(points, step, key=lambda point: point[0])  # of the first point after the step
    if index in (0, len(points)):
        return points[max(index - 1, 0)][1]
    (left, value), (right, next_value) = points[index - 1], points[index]
    fraction = (step - left) / (right - left)
    return value * (1 - fraction) + next_value * fraction


def schedules(settings: Any, key: str = "") -> Iterator[tuple[str, Schedule[float] | Points[float]]]:
    """Yield the schedules in a dataclass, mapping or tuple with their dotted keys."""
    if isinstance(settings, Schedule | Points):
        yield key, settings
        return
    entries: Mapping[Any, Any] = {}
    if is_dataclass(settings):
        entries = {field.name: getattr(settings, field.name) for field in fields(settings)}
    elif isinstance(settings, Mapping):
        entries = settings
    elif isinstance(settings, tuple | list):
        entries = dict(enumerate(settings))
    for name, value in entries.items():
        yield from schedules(value, f"{key}.{name}" if key else str(name))


def depends_on_length(schedule: Schedule[float] | Points[float]) -> bool:
    """Whether the values of a schedule change with the number of steps of the run."""
    return isinstance(schedule, Schedule) and schedule.steps is None and schedule.start != schedule.end


def as_regularization(value: Number[float] | Regularization) -> Regularization:
    """Return a weight as what it stands for: a regularizer that is computed in each step."""
    return value if isinstance(value, Regularization) else Regularization(weight=value)


def recipe_schedules(recipe: Recipe) -> list[Schedule[float] | Points[float]]:
    """Return all schedules of a recipe, those in the options of registered optimizers included."""
    optimizers = recipe.optimizers
    configs = [optimizer_config(optimizer) for optimizer in (optimizers.generator, optimizers.discriminator)]
    return [schedule for _, schedule in schedules([recipe, *configs])]


class Scheduled(NamedTuple):
    """What is planned for one step. Numbers are tensors [] on the device, those without a schedule are left out."""

    generator: dict[str, Tensor]
    """Of the generator's optimizer, by field of its config: `learning_rate` always, others if they have a schedule."""
    discriminator: dict[str, Tensor]
    """Of the discriminator's optimizer."""
    ema_weight: Tensor
    """1 - decay of the generator's moving average, 0 to 1."""
    others: dict[str, Tensor]
    """`label_smoothing`, `augment_probability`, the weight of a regularizer as `regularizers.NAME`; and, where the
    probability of augmentation is adaptive, by how much it changes after this step as `augment_change`."""
    regularizers: tuple[str, ...]
    """Names of those that are computed in this step."""

    def number(self, name: str, number: Number[float]) -> float | Tensor:
        """Return one of the other numbers: a constant as it is."""
        return self.others[name] if isinstance(number, Schedule | Points) else number


class Schedules:
    """What a recipe plans for each of its steps."""

    def __init__(self, recipe: Recipe) -> None:
        self._recipe = recipe
        self._generator = _optimizer_numbers(recipe.optimizers.generator)
        self._discriminator = _optimizer_numbers(recipe.optimizers.discriminator)
        regularizers = {name: as_regularization(value) for name, value in recipe.regularizers.items()}
        others = {
            "label_smoothing": recipe.label_smoothing,
            "augment_probability": recipe.augment_probability,
            "regularizers": {name: regularizer.weight for name, regularizer in regularizers.items()},
        }
        self._others: dict[str, Number[float]] = dict(schedules(others))
        self._every = {name: regularizer.every for name, regularizer in regularizers.items()}
        adaptive = recipe.augment_probability if recipe.augment else None
        self._adaptive = adaptive if isinstance(adaptive, AdaptiveProbability) else None

    def numbers_at(self, step: int) -> list[float]:
        """Return the numbers of the step after `step` others, in the order that `scheduled` expects."""
        recipe = self._recipe
        ema_decay = None if recipe.ema_decay is None else value_at(recipe.ema_decay, step, recipe.steps)
        numbers = [0.0 if ema_decay is None else 1 - _warmed_up(ema_decay, step)]
        for group in (self._generator, self._discriminator, self._others):
            numbers += [value_at(number, step, recipe.steps) for number in group.values()]
        if self._adaptive is not None:
            numbers.append(self._augment_change(step, self._adaptive))
        return numbers

    def regularizers_at(self, step: int) -> tuple[str, ...]:
        """Return the names of the regularizers that are computed in a step, in the recipe's order."""
        return tuple(name for name, every in self._every.items() if step % every == 0)

    def scheduled(self, numbers: Tensor, regularizers: tuple[str, ...]) -> Scheduled:
        """Return by name what `numbers_at` returned in order, as views of one tensor [num]."""
        # Adam takes its rate and betas in the tensor's own precision. Other numbers become factors of float32 tensors,
        # and take their dtype here, once a step and not once for each of those.
        ema_weight, *rest = numbers.unbind()
        values = iter(rest)
        generator, discriminator = (
            {name: next(values) for name in group} for group in (self._generator, self._discriminator)
        )
        names = [*self._others, *(["augment_change"] if self._adaptive is not None else [])]
        others = {name: next(values).float() for name in names}
        return Scheduled(generator, discriminator, ema_weight.float(), others, regularizers)

    def _augment_change(self, step: int, adaptive: AdaptiveProbability) -> float:
        if (step + 1) % adaptive.every:
            return 0.0
        images = self._recipe.batch_size * self._recipe.discriminator_steps * adaptive.every
        return images / adaptive.images


def _optimizer_numbers(optimizer: Optimizer) -> dict[str, Number[float]]:
    return {"learning_rate": optimizer.learning_rate, **dict(schedules(optimizer_config(optimizer)))}


def _warmed_up(decay: float, step: int) -> float:
    """Return the decay after n steps, at most (1 + n) / (10 + n): the average forgets the untrained weights quickly."""
    # 0.1 at first, 0.91 after 90 steps. A decay of 0.999 from the beginning would still give the random initial weights
    # a share of 37 % after 1,000 steps, 0.999^1000.
    return min(decay, (1 + step) / (10 + step))
