"""The distribution `ganzoo-shapes`, which tests of what third parties can express install."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import InstallPlugin

PACKAGE = Path(__file__).parent / "shapes"


@pytest.fixture
def shapes(install_plugin: InstallPlugin) -> None:
    """The distribution `ganzoo-shapes`."""
    install_plugin(
        "ganzoo-shapes",
        {
            "ganzoo.architectures": {"volume-conv": "shapes:VOLUME_CONV"},
            "ganzoo.datasets": {
                "volumes": "shapes:VOLUMES",
                "stereo": "shapes:STEREO",
                "stereo-tensor": "shapes:STEREO_TENSOR",
                "ring": "shapes:RING",
                "squares": "shapes:SQUARES",
                "noise": "shapes:NOISE",
            },
            "ganzoo.extractors": {"volume-moments": "shapes:VOLUME_MOMENTS"},
            "ganzoo.metrics": {
                "mean-difference": "shapes:MEAN_DIFFERENCE",
                "fd-volumes": "shapes:FD_VOLUMES",
                "ring-distance": "shapes:RING_DISTANCE",
            },
            "ganzoo.recipes": {
                "volumes-conv": "shapes:VOLUMES_CONV",
                "stereo-mlp": "shapes:STEREO_MLP",
                "stereo-tensor-mlp": "shapes:STEREO_TENSOR_MLP",
                "ring-mlp": "shapes:RING_MLP",
                "squares-mlp": "shapes:SQUARES_MLP",
            },
        },
        {f"shapes/{path.name}": path.read_text(encoding="utf-8") for path in PACKAGE.glob("*.py")},
    )
