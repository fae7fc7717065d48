"""Our own plugins keep the contracts that the kit checks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ganzoo import registry
from ganzoo.registry import REGISTRIES
from ganzoo.specs import SampleSpec
from ganzoo.testing import Check, Example, parametrize_with_checks
from ganzoo.testing.every_spec import EVERY_SPEC
from ganzoo.testing.running import run_check
from ganzoo.weights.manifest import Zoo

DATA = Path(__file__).parents[1] / "data"
IMAGE = SampleSpec(kind="image", shape=(3, 16, 16))

ALL = [Example(found.get(name)) for found in REGISTRIES for name in found]
NETS = {
    "mlp": {"generator_hidden": (8,), "discriminator_hidden": (8,)},
    "dcgan": {"generator_widths": (8, 4), "discriminator_widths": (4, 8)},
    "resnet": {"generator_widths": (8, 8, 8), "discriminator_widths": (8, 8)},
    "r3gan": {"widths": (8, 8, 8), "cardinalities": (2, 2, 2), "blocks_per_stage": 1},
    "fastgan": {"generator_widths": (8, 8, 8), "discriminator_widths": (4, 4, 8), "decoder_width": 4},
    "scrabblegan": {
        "character_dim": 4,
        "style_dim": 4,
        "generator_widths": (4, 4),
        "discriminator_widths": (2, 4),
        "recogniser_widths": (2, 2, 4),
        "reading_width": 4,
    },
}
OWN_REGULARIZERS = {"reconstruction": "fastgan", "read_real": "scrabblegan", "read_fake": "scrabblegan"}
"""Those of one architecture."""
METRICS = [
    name for name in registry.metrics if name.startswith(("curve", "point", "lenet", "fd-lenet", "class", "label"))
]
RECIPES: dict[str, dict[str, Any]] = {
    "quadratic-mlp": {},
    "mnist-cgan": {"config.generator_hidden": [8], "config.discriminator_hidden": [8]},
}
CONVOLUTIONAL: dict[str, dict[str, Any]] = {
    "words-dcgan": {"config.generator_widths": [8, 8, 8], "config.discriminator_widths": [8, 8, 8]},
}


@parametrize_with_checks(
    [
        *(Example(registry.architectures.get(name), config=config, sample=IMAGE) for name, config in NETS.items()),
        *(Example(registry.datasets.get(name), data_dir=DATA) for name in registry.datasets),
        *(Example(registry.metrics.get(name), data_dir=DATA) for name in METRICS),
        *(Example(registry.recipes.get(name), settings=settings, data_dir=DATA) for name, settings in RECIPES.items()),
        *(Example(entry) for entry in Zoo().entries if entry.name in ("quadratic-mlp", "mnist-cgan")),
        *map(registry.losses.get, registry.losses),
        *map(registry.regularizers.get, sorted(set(registry.regularizers) - set(OWN_REGULARIZERS))),
        *(
            Example(registry.regularizers.get(name), config=NETS[architecture], sample=IMAGE)
            for name, architecture in OWN_REGULARIZERS.items()
        ),
        *map(registry.augmentations.get, registry.augmentations),
        *map(registry.optimizers.get, registry.optimizers),
        *map(registry.loggers.get, registry.loggers),
        Example(registry.extractors.get("lenet-mnist")),
    ],
    expected_failures={
        "r3gan/its_images_lie_between_minus_one_and_one": "its last layer is a convolution, as in the official code"
    },
)
def test_contracts(spec: Example, check: Check) -> None:
    check(spec)


@pytest.mark.slow
@parametrize_with_checks(
    [Example(registry.recipes.get(name), settings=settings, data_dir=DATA) for name, settings in CONVOLUTIONAL.items()]
)
def test_contracts_of_convolutional_recipes(spec: Example, check: Check) -> None:
    check(spec)


@pytest.mark.parametrize("example", ALL, ids=lambda example: f"{example.kind}-{example.name}")
def test_contracts_of_every_spec(example: Example) -> None:
    for check in EVERY_SPEC:
        run_check(check, example)
