"""Layer summaries of real recipes."""

from __future__ import annotations

import pytest

from ganzoo.registry import datasets, recipes
from ganzoo.weights.layers import Layer, Summary, summaries
from ganzoo.weights.model_config import model_config
from tests.conftest import InstallPlugin


def nets(name: str) -> dict[str, Summary]:
    recipe = recipes.get(name)
    return summaries(model_config(recipe, datasets.get(recipe.dataset).sample), "test")


def test_layers_have_their_shapes_and_add_up() -> None:
    generator, discriminator = nets("mnist-mlp").values()
    first = Layer(name="layers.0", kind="Linear", output_shape=(None, 128), parameters=100 * 128 + 128)
    assert generator.layers[0] == first
    assert generator.parameters == sum(layer.parameters for layer in generator.layers) == 1_510_032
    assert discriminator.layers[-1].output_shape == (None, 1)


@pytest.mark.parametrize(
    "name", ["quadratic-mlp", "mnist-cgan", "mnist-mlp-dropout", "cifar10-dcgan", "cifar10-wgan-gp"]
)
def test_nets_can_be_run_without_data(name: str) -> None:
    for net in nets(name).values():
        assert net.problem == ""
        assert all(layer.output_shape is not None for layer in net.layers)
        assert net.parameters == sum(layer.parameters for layer in net.layers)


ODD = """
from dataclasses import dataclass, replace
from ganzoo.specs import ArchitectureSpec
from ganzoo_quadratic import QUADRATIC_MLP

@dataclass(frozen=True, kw_only=True)
class Config:
    pass

def build_generator(config, latent, sample):
    import torch
    from torch import nn

    class Scaled(nn.Module):  # shares one layer, and has a parameter of its own
        def __init__(self):
            super().__init__()
            self.scale = nn.Parameter(torch.ones(3))
            self.first = nn.Linear(latent.dim, latent.dim)
            self.again = nn.Sequential(self.first, nn.Linear(latent.dim, *sample.shape))

        def forward(self, z):
            return self.again(self.first(z)) * self.scale.sum()

    return Scaled()

def build_discriminator(config, sample):
    from torch import nn

    class Peeking(nn.Linear):
        def forward(self, x):
            return super().forward(x).flatten() if x.sum().item() else x.sum(1)

    return Peeking(*sample.shape, 1)

ODD = ArchitectureSpec(
    name="odd", summary="s", paper="p", license="MIT", config=Config,
    build_generator=build_generator, build_discriminator=build_discriminator,
)
RECIPE = replace(QUADRATIC_MLP, name="odd-curves", architecture="odd", config={})
"""


def test_layers_of_a_plugins_odd_nets_are_counted_once_and_never_fail(install_plugin: InstallPlugin) -> None:
    groups = {"ganzoo.architectures": {"odd": "odd:ODD"}, "ganzoo.recipes": {"odd-curves": "odd:RECIPE"}}
    install_plugin("odd", groups, {"odd.py": ODD})
    generator, peeking = nets("odd-curves").values()
    assert [layer.name for layer in generator.layers] == ["", "first", "again.1"]
    assert generator.layers[0].parameters == 3
    assert generator.parameters == sum(layer.parameters for layer in generator.layers)
    assert peeking.layers[0].output_shape is None
    assert peeking.parameters == 16
    assert "item()" in peeking.problem
