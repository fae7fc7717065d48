"""Generators whose samples do not follow from the seed are named before their weights are published."""

from __future__ import annotations

from pathlib import Path

import pytest

import ganzoo as package
from tests.conftest import Ganzoo, InstallPlugin
from tests.strange import install_strange

FORWARD = "        return self.layers(z)"
COUNTING = (
    "        self.calls = getattr(self, 'calls', 0) + 1\n"
    "        return self.layers(z) * (1 + 0.1 * (0 if self.training else self.calls))"
)
CENTERED = "        x = self.layers(z)\n        return x - x.mean(0)"


@pytest.mark.parametrize(
    ("forward", "warning"),
    [
        (COUNTING, "returns other samples when it is given the same latents again"),
        (CENTERED, "returns another sample when its batch holds other samples"),
        (FORWARD, None),
    ],
    ids=["counts its calls", "looks at its batch", "stable"],
)
def test_an_unstable_generator_is_a_warning_at_bundle_and_push(
    install_plugin: InstallPlugin, ganzoo: Ganzoo, tmp_path: Path, forward: str, warning: str | None
) -> None:
    folder = install_strange(install_plugin, (FORWARD, forward))
    run = package.train("strange-gan", out=tmp_path / "run", settings={"seed": 0}).path
    bundled = ganzoo("zoo", "bundle", run, folder, "--version", "v1", "--license", "MIT")
    pushed = ganzoo("push", run, "you/strange", "--license", "mit", "--dry-run")
    for result in (bundled, pushed):
        assert result.returncode == 0, result.stderr
        if warning is None:
            assert "Warning" not in result.stderr
        else:
            assert f"ganzoo-strange 0.3.1: the generator of 'strange-net' {warning}." in result.stderr
