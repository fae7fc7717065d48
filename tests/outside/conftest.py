"""The plugin of these tests: `ganzoo_outside`, installed as somebody else's distribution."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import InstallPlugin
from tests.hub.conftest import server  # noqa: F401

PACKAGE = Path(__file__).parent / "ganzoo_outside"
ENTRY_POINTS = {
    "ganzoo.architectures": {
        "outside-style": "ganzoo_outside:STYLE",
        "outside-projection": "ganzoo_outside:PROJECTION",
        "outside-signal-net": "ganzoo_outside:SIGNAL_NET",
        "outside-volume-net": "ganzoo_outside:VOLUME_NET",
    },
    "ganzoo.datasets": {
        "outside-shades": "ganzoo_outside:SHADES",
        "outside-signals": "ganzoo_outside:SIGNALS",
        "outside-volumes": "ganzoo_outside:VOLUMES",
    },
    "ganzoo.losses": {"outside-exponential": "ganzoo_outside:EXPONENTIAL"},
    "ganzoo.regularizers": {"outside-drift": "ganzoo_outside:DRIFT"},
    "ganzoo.optimizers": {"outside-lion": "ganzoo_outside:LION"},
    "ganzoo.metrics": {"outside-mean": "ganzoo_outside:MEAN"},
    "ganzoo.recipes": {
        "outside-style-gan": "ganzoo_outside:STYLE_GAN",
        "outside-projection-gan": "ganzoo_outside:PROJECTION_GAN",
        "outside-signal-wgan": "ganzoo_outside:SIGNAL_WGAN",
        "outside-volume-gan": "ganzoo_outside:VOLUME_GAN",
    },
    "ganzoo.weights": {"ganzoo-outside": "ganzoo_outside"},
}


@pytest.fixture
def outside(install_plugin: InstallPlugin) -> Path:
    """The package's folder, installed as ganzoo-outside 2.0."""
    modules = {f"ganzoo_outside/{path.name}": path.read_text(encoding="utf-8") for path in PACKAGE.glob("*.py")}
    return install_plugin("ganzoo-outside", ENTRY_POINTS, modules, version="2.0") / "ganzoo_outside"
