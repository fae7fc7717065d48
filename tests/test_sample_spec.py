"""SampleSpec: what contradicts itself is refused where it is written."""

from __future__ import annotations

import re
from typing import Any

import pytest

from ganzoo.errors import SettingsError
from ganzoo.specs import CurveAxes, SampleSpec
from ganzoo.validation import validated

AXES = {"x": (0.0, 1.0), "lower": (0.0, 0.0), "upper": (1.0, 1.0)}

CONTRADICTIONS: list[tuple[dict[str, Any], str]] = [
    ({"kind": "image", "shape": (1, 16, 16, 16)}, "SampleSpec.shape of kind 'image' must be [channels, height, width]"),
    ({"kind": "image", "shape": (28, 28)}, "SampleSpec.shape of kind 'image'"),
    ({"kind": "image", "shape": (2, 8, 8)}, "SampleSpec.shape: an image has 1 channel (grey) or 3 (RGB), not 2"),
    ({"kind": "curve", "shape": (1, 2, 3)}, "SampleSpec.shape of kind 'curve' must be [points] or [channels, points]"),
    ({"kind": "tensor", "shape": (2,), "axes": AXES}, "SampleSpec.axes belong to kind 'curve'"),
    ({"kind": "curve", "shape": (3,), "axes": AXES}, "SampleSpec.axes have 2 points, but shape is (3,)"),
    ({"kind": "curve", "shape": (2, 3), "axes": AXES}, "SampleSpec.axes have 2 points, but shape is (2, 3)"),
    ({"kind": "tensor", "shape": (2,), "classes": ("a", "b", "a")}, "SampleSpec.classes must have at least one name"),
    ({"kind": "curve", "shape": (2,), "axes": {**AXES, "upper": (1.0,)}}, "x has 2, lower has 2, upper has 1"),
    ({"kind": "curve", "shape": (2,), "axes": {**AXES, "x": (1.0, 0.0)}}, "CurveAxes.x must be ascending"),
    ({"kind": "curve", "shape": (2,), "axes": {**AXES, "lower": (2.0, 0.0)}}, "CurveAxes.lower must not be above"),
]

FOR_PYTHON: list[tuple[dict[str, Any], str]] = [  # a file is refused by its types already
    ({"kind": "voxels", "shape": (1,)}, "SampleSpec.kind must be one of image, curve, tensor, not 'voxels'"),
    ({"kind": "tensor", "shape": ()}, "SampleSpec.shape of kind 'tensor' must be 1 to 4 sizes"),
    ({"kind": "tensor", "shape": (1,) * 5}, "SampleSpec.shape of kind 'tensor'"),
    ({"kind": "tensor", "shape": (2, 0)}, "SampleSpec.shape of kind 'tensor'"),
    ({"kind": "tensor", "shape": (2.0,)}, "SampleSpec.shape of kind 'tensor'"),
    ({"kind": "tensor", "shape": (2,), "classes": ()}, "SampleSpec.classes must have at least one name"),
]


@pytest.mark.parametrize(("fields", "message"), CONTRADICTIONS + FOR_PYTHON, ids=str)
def test_a_spec_that_contradicts_itself_names_the_field(fields: dict[str, Any], message: str) -> None:
    def build() -> SampleSpec:
        axes = fields.get("axes")
        return SampleSpec(**{**fields, "axes": None if axes is None else CurveAxes(**axes)})

    with pytest.raises(ValueError, match=re.escape(message)):
        build()


@pytest.mark.parametrize(("fields", "message"), CONTRADICTIONS, ids=str)
def test_so_does_one_in_a_file(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError) as caught:
        validated(SampleSpec, fields, "config.json")
    assert str(caught.value).startswith("config.json: ")
    assert message in str(caught.value)


@pytest.mark.parametrize(
    "fields",
    [
        {"kind": "image", "shape": (3, 32, 32), "classes": ("a", "b")},
        {"kind": "curve", "shape": (2,), "axes": AXES},
        {"kind": "curve", "shape": (3, 2), "axes": AXES},
        {"kind": "curve", "shape": (2, 256)},
        {"kind": "tensor", "shape": (7,)},
        {"kind": "tensor", "shape": (1, 16, 16, 16)},
    ],
    ids=str,
)
def test_what_fits_together_is_accepted_from_a_file(fields: dict[str, Any]) -> None:
    assert validated(SampleSpec, fields, "config.json").shape == fields["shape"]
