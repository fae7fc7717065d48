"""Plugins that break their contract are named before a run's folder is made; others are trained as before."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

import ganzoo as package
from ganzoo.config import Layer, resolve
from ganzoo.data import open_batches, open_dataset
from ganzoo.errors import PluginError
from ganzoo.registry import datasets, recipes
from ganzoo.training.first_batch import check_first_batch
from ganzoo.training.state import TrainingState
from ganzoo.weights.model_config import model_config
from tests.conftest import Ganzoo, InstallPlugin, assert_two_lines
from tests.strange import install_strange

FORWARD = "        return self.layers(z)"
LOGITS = "        return self.layers(samples).squeeze(1)"
BUILT = "        super().__init__()\n        self.layers = nn.Sequential(nn.Linear(latent.dim"
DRAW = "    return torch.randn(num, 6, generator=generator)"
LOAD = "    return SyntheticData(draw=draw)"

BROKEN_NETS = {
    "another width": (FORWARD, FORWARD + "[:, :5]", "the generator of 'strange-net' returned float32 [4, 5], not"),
    "tuple": (FORWARD, FORWARD + ",", "the generator of 'strange-net' returned tuple, not a tensor float32 [4, 6]"),
    "numpy": (FORWARD, FORWARD + ".detach().numpy()", "returned ndarray, not a tensor float32 [4, 6]"),
    "None": (FORWARD, "        pass", "the generator of 'strange-net' returned NoneType, not a tensor float32 [4, 6]"),
    "another axis": (FORWARD, FORWARD + "[None]", "returned float32 [1, 4, 6], not float32 [4, 6]"),
    "float64": (FORWARD, FORWARD + ".double()", "returned float64 [4, 6], not float32 [4, 6]"),
    "NaN": (FORWARD, FORWARD + " / 0 * 0", "the generator of 'strange-net' returned NaN or infinite values"),
    "detached": (FORWARD, FORWARD + ".detach()", "no gradient passes through the output of the generator"),
    "changes z": (
        FORWARD,
        "        z.mul_(2)\n" + FORWARD,
        "the generator of 'strange-net' changes its input in place",
    ),
    "raises": (FORWARD, "        raise ValueError('I only do 32 x 32')", "raised ValueError: I only do 32 x 32"),
    "column of logits": (LOGITS, "        return self.layers(samples)", "returned float32 [4, 1], not float32 [4]"),
    "changes samples": (
        LOGITS,
        "        samples.detach().mul_(2)\n" + LOGITS,
        "the discriminator of 'strange-net' changes its input in place",
    ),
    "blind discriminator": (
        LOGITS,
        "        return self.layers(samples.detach()).squeeze(1)",
        "no gradient reaches the generator of 'strange-net'",
    ),
    "infinite gradient": (
        LOGITS,
        "        x = self.layers(samples).squeeze(1)\n        return x * 0 + (x - x).abs().sqrt()",
        "holds NaN or infinite values",
    ),
    "builder raises": (
        BUILT,
        "        raise ValueError('I only do 32 x 32')\n" + BUILT,
        "build_generator of 'strange-net' raised ValueError: I only do 32 x 32",
    ),
    "reads a value": (BUILT, "        torch.ones(1).item()\n" + BUILT, "build_generator of 'strange-net' raised"),
    "lazy": ("nn.Linear(config.width, 6)", "nn.LazyLinear(6)", "lazy parameter 'layers.2.weight'"),
    "on meta": (
        "nn.Linear(config.width, 6)",
        "nn.Linear(config.width, 6, device='meta')",
        "a module whose tensor 'layers.2.weight' is on the meta device",
    ),
    "a function": (
        'deferred("ganzoo_strange.networks:Generator")',
        "lambda *_: print",
        "build_generator of 'strange-net' returned builtin_function_or_method, not a torch.nn.Module",
    ),
    "extra state": (
        FORWARD,
        FORWARD + "\n    def get_extra_state(self):\n        return {'steps': 1}",
        "a module whose state '_extra_state' is not a tensor",
    ),
}
BROKEN_DATA = {
    "another width": (DRAW, DRAW + "[:, :5]", "draw of 'strange-points' returned float32 [2, 5], not float32 [2, 6]"),
    "float64": (DRAW, DRAW + ".double()", "draw of 'strange-points' returned float64 [2, 6], not float32 [2, 6]"),
    "draws None": (DRAW, "    pass", "draw of 'strange-points' returned NoneType, not float32 [2, 6]"),
    "draws numpy": (DRAW, DRAW + ".numpy()", "draw of 'strange-points' returned ndarray, not float32 [2, 6]"),
    "draw raises": (DRAW, "    raise KeyError('annotations')", "draw of 'strange-points' raised KeyError"),
    "labels raise": (
        LOAD,
        LOAD[:-1] + ", draw_labels=lambda *_: 1 / 0)",
        "draw_labels of 'strange-points' raised Z",
    ),
    "labels of floats": (
        LOAD,
        LOAD[:-1] + ", draw_labels=lambda *_: torch.zeros(2))",
        "draw_labels of 'strange-points' returned float32 [2], not int64 [2]",
    ),
    "texts of bytes": (
        LOAD,
        LOAD[:-1] + ", draw_texts=lambda *_: [b'a', b'b'])",
        "draw_texts of 'strange-points' returned [b'a', b'b'], not a list of 2 texts",
    ),
    "arrays for an unlimited split": (
        LOAD,
        "    import numpy\n    return ArrayData(samples=numpy.zeros((4, 6)))",
        "'strange-points' declares split 'train' as unlimited, but load returned ArrayData",
    ),
    "NaN": (DRAW, DRAW + " * float('nan')", "the first batch of 'strange-points' has NaN or infinite values"),
    "list": (LOAD, "    return [1]", "load of 'strange-points' returned list, not ArrayData"),
    "None": (LOAD, "    return None", "load of 'strange-points' returned NoneType, not ArrayData"),
    "load raises": (
        LOAD,
        "    raise KeyError('annotations')",
        "load of 'strange-points' raised KeyError: 'anno",
    ),
    "list of samples": (
        LOAD,
        "    return ArrayData(samples=[[0.0] * 6])",
        "returned ArrayData whose samples are list, not a numpy array",
    ),
}
BROKEN = {f"net: {key}": case for key, case in BROKEN_NETS.items()} | {
    f"data: {key}": case for key, case in BROKEN_DATA.items()
}


@pytest.mark.parametrize(("before", "after", "message"), BROKEN.values(), ids=BROKEN)
def test_what_breaks_its_contract_is_named_before_anything_is_written(
    install_plugin: InstallPlugin, ganzoo: Ganzoo, cwd: Path, before: str, after: str, message: str
) -> None:
    install_strange(install_plugin, (before, after))
    result = ganzoo("train", "strange-gan", "--seed", "0")
    assert_two_lines(result, 1, "ganzoo-strange 0.3.1: ", message)
    assert "bug in ganzoo" not in result.stderr
    assert not list(cwd.iterdir())


PARTS = """
from dataclasses import dataclass
from ganzoo.deferred import deferred
from ganzoo.specs import *

@dataclass(frozen=True, kw_only=True)
class Config:
    pass

LOSS = LossSpec(
    name="parts-loss", summary="s", paper="p",
    discriminator=deferred("parts.functions:loss_d"), generator=deferred("parts.functions:loss_g"),
)
TERM = RegularizerSpec(
    name="parts-term", summary="s", paper="p",
    compute=deferred("parts.functions:term"), state=deferred("parts.functions:state"),
)
PATH = RegularizerSpec(
    name="parts-path", summary="s", paper="p", of="generator", compute=deferred("parts.functions:path"),
)
DARK = AugmentationSpec(name="parts-dark", summary="s", paper="p", apply=deferred("parts.functions:dark"))
PLAIN = OptimizerSpec(
    name="parts-plain", summary="s", paper="p", config=Config, build=deferred("parts.functions:Plain")
)
"""
FUNCTIONS = """
import torch
from torch import nn

def loss_d(real, fake, smoothing):
    return fake.mean() - real.mean()

def loss_g(fake, real):
    return -fake.mean()

def state():
    return {"mean": torch.zeros(())}

def term(inputs):
    return inputs.discriminators.real(inputs.real).square().mean()

def path(inputs):
    return inputs.generate(inputs.latents).square().mean()

def dark(images, numbers):
    return images * numbers[:, 0].view(-1, 1, 1, 1)

class Plain(nn.Module):
    def __init__(self, parameters, config):
        super().__init__()

    @torch.no_grad()
    def update(self, parameters, gradients, values):
        for parameter, gradient in zip(parameters, gradients):
            parameter.sub_(values["learning_rate"] * gradient)
"""
PARTS_ENTRIES = {
    "ganzoo.losses": {"parts-loss": "parts:LOSS"},
    "ganzoo.regularizers": {"parts-term": "parts:TERM", "parts-path": "parts:PATH"},
    "ganzoo.augmentations": {"parts-dark": "parts:DARK"},
    "ganzoo.optimizers": {"parts-plain": "parts:PLAIN"},
}
PARTS_SETTINGS = {
    "seed": 0,
    "steps": 1,
    "batch_size": 8,
    "loss": "parts-loss",
    "label_smoothing": 0,
    "augment": ["parts-dark"],
    "regularizers": {"parts-term": 1.0, "parts-path": 1.0},
    "optimizers.generator.kind": "parts-plain",
}
BROKEN_PARTS = {
    "loss of another shape": (
        "-fake.mean()",
        "-fake",
        "the generator's half of 'parts-loss' returned float32 [8], ",
    ),
    "loss is a number": ("fake.mean() - real.mean()", "1.0", "'parts-loss' returned float, not a tensor float32 []"),
    "loss is detached": ("-fake.mean()", "-fake.mean().detach()", "'parts-loss' returned a constant"),
    "loss raises": ("-fake.mean()", "{}['a']", "the generator's half of 'parts-loss' raised KeyError: 'a'"),
    "NaN term": ("square().mean()", "log().mean() * 0 / 0", "compute of 'parts-term' returned NaN or infinite values"),
    "constant term": ("inputs.generate(", "torch.relu(", "compute of 'parts-path' returned a constant"),
    "no state": (
        '{"mean": torch.zeros(())}',
        "None",
        "state of 'parts-term' returned None, not float32 tensors",
    ),
    "smaller images": ("images * numbers[:, 0]", "images[..., 1:] * numbers[:, 0]", "not float32 [8, 1, 28, 28]"),
    "detached images": ("return images *", "return images.detach() *", "no gradient passes through 'parts-dark'"),
    "images in place": ("images * numb", "images.mul_(0.5) * numb", "apply of 'parts-dark' changes its input in place"),
    "no update": (
        "def update",
        "def step",
        "build of 'parts-plain' returned Plain, not a module with a method",
    ),
    "build raises": (
        "        super().__init__()",
        "        raise ValueError('no')",
        "build of 'parts-plain' raised V",
    ),
    "update raises": ('values["learning_rate"]', 'values["lr"]', "update of 'parts-plain' raised KeyError: 'lr'"),
    "NaN update": ("* gradient)", "* gradient / 0 * 0)", "update of 'parts-plain' makes parameters NaN or infinite"),
}


@pytest.mark.parametrize(("before", "after", "message"), BROKEN_PARTS.values(), ids=BROKEN_PARTS)
def test_parts_of_recipes_that_break_their_contract_are_named_before_anything_is_written(
    install_plugin: InstallPlugin, tmp_path: Path, digits: Path, before: str, after: str, message: str
) -> None:
    assert before in FUNCTIONS
    functions = FUNCTIONS.replace(before, after)
    install_plugin("gan-parts", PARTS_ENTRIES, {"parts/__init__.py": PARTS, "parts/functions.py": functions})
    with pytest.raises(PluginError) as caught:
        package.train("mnist-mlp", out=tmp_path / "run", data_dir=digits, settings=PARTS_SETTINGS)
    assert str(caught.value).startswith("gan-parts 1.0: ")
    assert message in str(caught.value)
    assert not (tmp_path / "run").exists()


def test_parts_that_keep_their_contract_are_trained(
    install_plugin: InstallPlugin, tmp_path: Path, digits: Path, ganzoo: Ganzoo, monkeypatch: pytest.MonkeyPatch
) -> None:
    install_plugin("gan-parts", PARTS_ENTRIES, {"parts/__init__.py": PARTS, "parts/functions.py": FUNCTIONS})
    run = package.train("mnist-mlp", out=tmp_path / "run", data_dir=digits, settings=PARTS_SETTINGS)
    assert run.records()[-1]["step"] == 1
    assert "optimizer parts-plain (gan-parts 1.0)" in ganzoo("show", "parts-plain").stdout
    monkeypatch.setenv("GANZOO_PLUGINS", "off")
    result = ganzoo("resume", tmp_path / "run", "--set", "steps=2")
    assert_two_lines(result, 1, "needs the plugin gan-parts (1.0 when trained)", "GANZOO_PLUGINS leaves it out")


def test_images_out_of_range_are_refused(install_plugin: InstallPlugin, ganzoo: Ganzoo) -> None:
    # Bytes that were not scaled: the commonest mistake with images.
    as_images = [
        ('kind="curve", shape=(6,)', 'kind="image", shape=(1, 2, 3)'),
        ("        axes=CurveAxes(x=(0.0, 1.0, 2.0, 3.0, 4.0, 5.0), lower=(-9.0,) * 6, upper=(9.0,) * 6),\n", ""),
        (DRAW, "    return torch.rand(num, 1, 2, 3, generator=generator) * 255"),
        (FORWARD, FORWARD + ".view(-1, 1, 2, 3)"),
        (LOGITS, "        return self.layers(samples.flatten(1)).squeeze(1)"),
    ]
    install_strange(install_plugin, *as_images)
    result = ganzoo("train", "strange-gan", "--seed", "0")
    assert_two_lines(result, 1, "ganzoo-strange 0.3.1: the first batch of 'strange-points' has values from", "-1 to 1")


def test_parameters_that_get_no_gradient_are_named_and_the_run_goes_on(
    install_plugin: InstallPlugin, ganzoo: Ganzoo
) -> None:
    unused = ("        super().__init__()\n", "        super().__init__()\n        self.unused = nn.Linear(2, 2)\n")
    install_strange(install_plugin, unused)
    result = ganzoo("train", "strange-gan", "--seed", "0", "--out", "run")
    assert result.returncode == 0
    assert (
        "ganzoo-strange 0.3.1: no gradient reaches 'unused.weight', 'unused.bias' of the generator of 'strange-net'."
        in result.stderr
    )


def test_a_net_that_fails_later_is_named_too(install_plugin: InstallPlugin, ganzoo: Ganzoo) -> None:
    counting = "        self.calls = getattr(self, 'calls', 0) + 1\n"
    counting += "        if self.calls > 2:\n            raise ValueError('tired')\n"
    install_strange(install_plugin, (FORWARD, counting + FORWARD))
    result = ganzoo("train", "strange-gan", "--seed", "0", "--out", "run", "--set", "engine=eager")
    assert_two_lines(result, 1, "ganzoo-strange 0.3.1: unexpected ValueError: tired", "the author of ganzoo-strange")


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        ("None", "compute of 'strange-mean' returned NoneType, not a number"),
        ("inputs.samples.mean()", "compute of 'strange-mean' returned float32 [], not a number"),
        ("{}['fid']", "compute of 'strange-mean' raised KeyError: 'fid'"),
    ],
    ids=["None", "tensor", "raises"],
)
def test_a_broken_metric_is_named(
    install_plugin: InstallPlugin, ganzoo: Ganzoo, tmp_path: Path, returned: str, message: str
) -> None:
    install_strange(install_plugin, ("float(inputs.samples.mean().abs())", returned))
    package.train("strange-gan", out=tmp_path / "run", settings={"seed": 0})
    assert_two_lines(ganzoo("eval", tmp_path / "run"), 1, "ganzoo-strange 0.3.1: ", message)


def test_what_a_plugin_prints_stays_out_of_json(install_plugin: InstallPlugin, ganzoo: Ganzoo, tmp_path: Path) -> None:
    install_strange(install_plugin, ("def mean(inputs):\n", "def mean(inputs):\n    print('measuring')\n"))
    package.train("strange-gan", out=tmp_path / "run", settings={"seed": 0})
    result = ganzoo("eval", tmp_path / "run", "--json")
    assert json.loads(result.stdout)["dataset"] == "strange-points"
    assert "measuring" in result.stderr


def test_the_traceback_of_a_plugin_is_shown_for_debugging(install_plugin: InstallPlugin, ganzoo: Ganzoo) -> None:
    install_strange(install_plugin, (FORWARD, "        raise ValueError('I only do 32 x 32')"))
    with pytest.raises(PluginError) as caught:
        ganzoo("train", "strange-gan", GANZOO_DEBUG="1")
    assert isinstance(caught.value.__cause__, ValueError)


def state_of(name: str, digits: Path, **settings: Any) -> TrainingState:
    resolved = resolve(recipes.get(name), [], seed=0)
    recipe = resolved.recipe
    data = open_dataset(datasets.get(recipe.dataset), recipe.split, digits if recipe.dataset == "mnist" else None)
    batches = open_batches(data, recipe.batch_size, 0, torch.device("cpu"), **settings)
    return TrainingState(resolved, model_config(recipe, data.spec.sample), batches, torch.device("cpu"))


# Curves that are drawn, digits in memory, and digits that a thread reads ahead; batch statistics and dropout.
@pytest.mark.parametrize(
    ("name", "settings"),
    [("quadratic-mlp", {}), ("mnist-mlp-dropout", {"place": "resident"}), ("mnist-mlp", {"place": "streamed"})],
    ids=["drawn", "resident", "streamed"],
)
def test_the_check_changes_no_stream_no_weight_and_no_statistic(
    name: str, settings: dict[str, Any], digits: Path
) -> None:
    state = state_of(name, digits, **settings)
    before = {key: tensor.clone() for key, tensor in state.tensors().items()}
    ambient = torch.get_rng_state()
    check_first_batch(state)
    after = state.tensors()
    assert all(torch.equal(after[key], tensor) for key, tensor in before.items())
    assert torch.equal(torch.get_rng_state(), ambient)
    checked, unchecked = state.batches.next(), state_of(name, digits, **settings).batches.next()
    assert torch.equal(checked.samples, unchecked.samples)
    state.batches.close()


NORMALIZED = ("nn.Linear(config.width, 6)", "nn.BatchNorm1d(config.width), nn.Linear(config.width, 6)")


def test_one_row_for_each_pass_is_enough_for_the_check(install_plugin: InstallPlugin, ganzoo: Ganzoo) -> None:
    # As in the eight processes of a batch of eight, where statistics are joined: the check runs without the others.
    install_strange(install_plugin, NORMALIZED)
    resolved = resolve(recipes.get("strange-gan"), [Layer("test", {"accumulate": 4})], seed=0)
    data = open_dataset(datasets.get("strange-points"), "train")
    batches = open_batches(data, resolved.recipe.batch_size, 0, torch.device("cpu"))
    config = model_config(resolved.recipe, data.spec.sample)
    check_first_batch(TrainingState(resolved, config, batches, torch.device("cpu")))
