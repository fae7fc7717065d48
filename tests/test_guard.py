"""Whose error it is: exceptions of plugin code name the plugin, and those of the machine and of ganzoo stay theirs."""

from __future__ import annotations

from importlib import import_module

import pytest
import torch

from ganzoo.errors import DatasetError, PluginError
from ganzoo.guard import described, guarded, third_party_origin
from ganzoo.registry import architectures, datasets
from tests.conftest import InstallPlugin
from tests.strange import install_strange


@pytest.mark.parametrize(
    "error",
    [DatasetError("gone"), MemoryError(), OSError(28, "No space left on device"), torch.OutOfMemoryError("CUDA")],
    ids=lambda error: type(error).__name__,
)
def test_errors_of_ganzoo_and_of_the_machine_pass(install_plugin: InstallPlugin, error: Exception) -> None:
    install_strange(install_plugin)
    with pytest.raises(type(error)) as caught, guarded(datasets, "strange-points", "load"):
        raise error
    assert caught.value is error


def test_an_error_of_ours_is_reported_to_us() -> None:
    ours = r"^ganzoo \S+: build_generator of 'mlp' raised ValueError: x\.$"
    with pytest.raises(PluginError, match=ours) as caught, guarded(architectures, "mlp", "build_generator"):
        raise ValueError("x")
    assert "This is a bug in ganzoo" in caught.value.hint
    with pytest.raises(ImportError), guarded(architectures, "mlp", "build_generator"):
        raise ImportError("torch is broken")


def test_a_spec_that_is_not_registered_is_named_by_its_name() -> None:
    mine = r"^dataset 'mine': load of 'mine' raised ValueError: x\.$"
    with pytest.raises(PluginError, match=mine) as caught, guarded(datasets, "mine", "load"):
        raise ValueError("x")
    assert "its author" in caught.value.hint


def test_the_innermost_frame_of_a_plugin_or_of_ganzoo_decides(install_plugin: InstallPlugin) -> None:
    install_strange(
        install_plugin, ("def mean(inputs):\n", "def call(function):\n    function()\n\ndef mean(inputs):\n")
    )
    plugin = import_module("ganzoo_strange.data")

    def origin_of(function: object) -> str | None:
        try:
            plugin.call(function)
        except (RuntimeError, TypeError) as error:
            found = third_party_origin(error)
            return None if found is None else str(found)
        raise AssertionError

    assert origin_of(lambda: torch.ones(2) @ torch.ones(3)) == "ganzoo-strange 0.3.1"  # a library that it called
    assert origin_of(lambda: datasets.get(None)) is None  # type: ignore[arg-type]


def test_values_are_described_by_dtype_and_shape() -> None:
    assert described(torch.ones(2, 3)) == "float32 [2, 3]"
    assert described(torch.ones(()).numpy()) == "float32 []"
    assert described(None) == "NoneType"
    assert described((1, 2)) == "tuple"
