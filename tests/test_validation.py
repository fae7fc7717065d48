"""Settings from outside: what is wrong, and what would be right."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import pytest
from annotated_types import Ge, Gt, Interval, Len

from ganzoo.errors import SettingsError
from ganzoo.specs.schedules import LearningRate
from ganzoo.validation import validated


@dataclass(frozen=True, kw_only=True)
class Inner:
    rate: Annotated[float, Gt(0)] = 0.1
    pair: tuple[float, Annotated[float, Interval(ge=0, lt=1)]] = (0.0, 0.5)


@dataclass(frozen=True, kw_only=True)
class Outer:
    steps: Annotated[int, Interval(ge=1, le=2000)] = 1
    order: Literal["first", "last"] = "first"
    flag: bool = False
    share: Annotated[float, Interval(ge=0, le=1)] | None = None
    widths: Annotated[tuple[int, ...], Len(1)] = (1,)
    weights: Mapping[str, Annotated[float, Ge(0)]] | None = None
    either: int | str = 0
    rate: LearningRate = 0.1
    inner: Inner = Inner()


@pytest.mark.parametrize(
    ("document", "message", "hint"),
    [
        ({"steps": 0}, "steps = 0 is not valid", "steps must be a whole number, at least 1 and at most 2,000."),
        ({"steps": "x"}, 'steps = "x" is not valid', "steps must be a whole number, at least 1 and at most 2,000."),
        ({"order": "x"}, 'order = "x" is not valid', 'order must be "first" or "last".'),
        ({"flag": 1}, "flag = 1 is not valid", "flag must be true or false."),
        ({"share": 2}, "share = 2 is not valid", "share must be a number, at least 0 and at most 1."),
        ({"widths": []}, r"widths = \[\] is not valid", "widths must be a list of at least 1 values."),
        ({"weights": {"a": -1}}, r"weights\.a = -1 is not valid", "weights.a must be a number, at least 0."),
        ({"inner": {"rate": 0}}, r"inner\.rate = 0 is not valid", "inner.rate must be a number, greater than 0."),
        (
            {"inner": {"pair": [0.0]}},
            r"inner\.pair\.1 is missing",
            "inner.pair.1 must be a number, at least 0 and less than 1.",
        ),
        ({"either": None}, "either", "a valid integer"),
        ({"rate": 0}, "rate = 0 is not valid", "rate must be a number, greater than 0, or a schedule."),
        (
            {"rate": {"kind": "lin"}},
            r'rate\.kind = "lin" is not valid',
            'rate.kind must be "linear" or "cosine" or "points".',
        ),
    ],
    ids=str,
)
def test_an_error_states_what_a_setting_must_be(document: dict[str, Any], message: str, hint: str) -> None:
    with pytest.raises(SettingsError, match=f"^file: {message}") as caught:
        validated(Outer, document, "file")
    assert hint in caught.value.hint


def test_an_unknown_key_is_refused_at_any_depth() -> None:
    with pytest.raises(SettingsError, match=r"'inner\.ratio'"):
        validated(Outer, {"inner": {"ratio": 1}}, "file")
