"""Numbers that change from step to step."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated, Generic, Literal, TypeAlias, TypeVar

from annotated_types import Ge, Gt, Interval, Len

Value = TypeVar("Value", bound=float)
"""A float with the bounds of the setting, which hold for every value of its schedule."""

Step = Annotated[int, Interval(ge=0, le=1 << 40)]
"""Steps of a run that were taken before: 0 for its first one."""


@dataclass(frozen=True, kw_only=True)
class Schedule(Generic[Value]):
    """A number that goes from `start` to `end`, after an optional warm-up, and then stays there."""

    kind: Literal["linear", "cosine"]
    """In a straight line, or along half a period of a cosine (Loshchilov and Hutter, arXiv:1608.03983, equation 5)."""
    start: Value
    """Value after the warm-up."""
    end: Value
    """Value from step `steps` on. A schedule over the whole run comes within one step of it."""
    warmup_steps: Step = 0
    """In the first steps, the value rises in a straight line to `start`; the first step has start / warmup_steps."""
    steps: Annotated[int, Interval(ge=1, le=1 << 40)] | None = None
    """The step from which on the value is `end`, warm-up included; None: as many steps as the run has."""

    def __post_init__(self) -> None:
        if self.steps is not None and self.steps <= self.warmup_steps:
            raise ValueError("steps must be greater than warmup_steps")


@dataclass(frozen=True, kw_only=True)
class Points(Generic[Value]):
    """A number given at some steps: in a straight line between two of them, constant before and after."""

    kind: Literal["points"] = "points"
    """Tells it from the other schedules in files."""
    points: Annotated[tuple[tuple[Step, Value], ...], Len(1, 10_000)]
    """(step, value), in ascending order of the steps."""

    def __post_init__(self) -> None:
        if any(step >= after for (step, _), (after, _) in pairwise(self.points)):
            raise ValueError("the steps of points must ascend")


Number: TypeAlias = Value | Schedule[Value] | Points[Value]
"""A constant, or a schedule whose every value is within the same bounds."""

LearningRate: TypeAlias = Annotated[float, Gt(0)] | Schedule[Annotated[float, Ge(0)]] | Points[Annotated[float, Ge(0)]]
"""Greater than zero; a schedule may start or end at zero."""
