"""Every engine takes the same steps; which one does is a matter of speed alone."""

from __future__ import annotations

import shutil
import warnings
from copy import deepcopy
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

import ganzoo
from ganzoo import config
from ganzoo.config import Layer
from ganzoo.data import open_batches, open_dataset
from ganzoo.errors import ResumeError
from ganzoo.registry import datasets, recipes
from ganzoo.training import Training, precision
from ganzoo.training.engines import engine
from ganzoo.training.engines.engine import Engine
from ganzoo.training.inputs import materialize, prepare_on_host
from ganzoo.training.precision import allow_tf32
from ganzoo.training.state import TrainingState
from ganzoo.training.step import train_step
from ganzoo.weights.model_config import model_config

MLP = {"config.generator_hidden": [8, 8], "config.discriminator_hidden": [8], "batch_size": 16}
DCGAN = {"config.generator_widths": [8, 8, 8], "config.discriminator_widths": [4, 8, 8], "batch_size": 8}
SNGAN = {"config.generator_widths": [8, 8], "config.discriminator_widths": [4, 4, 4], "batch_size": 8}
R3GAN = {"config.widths": [8, 8], "config.cardinalities": [2, 2], "batch_size": 8}
FASTGAN = {
    "architecture": "fastgan",
    "config": {"generator_widths": [8, 8, 8, 4], "discriminator_widths": [4, 4, 8], "decoder_width": 4},
    "batch_size": 8,
    "share_fakes": True,
    "regularizers.reconstruction": {"weight": 1.0, "every": 2},
}
DROPOUT = {"config.discriminator_dropout": 0.3, "config.generator_dropout": 0.2}

LINEAR = {"optimizers.generator.learning_rate": {"kind": "linear", "start": 1e-4, "end": 0}}

SCHEDULED = {
    **LINEAR,
    "optimizers.generator.betas": [{"kind": "linear", "start": 0, "end": 0.5, "steps": 4}, 0.9],
    "optimizers.discriminator.kind": "adamw",
    "optimizers.discriminator.betas": [0.5, {"kind": "cosine", "start": 0.9, "end": 0.99, "steps": 4}],
    "label_smoothing": {"kind": "linear", "start": 0.2, "end": 0, "steps": 4},
    "ema_decay": {"kind": "points", "points": [[0, 0.5], [4, 0.99]]},
    "regularizers.r1": {"kind": "cosine", "start": 2, "end": 0.1, "steps": 4},
    "augment": ["color"],
    "augment_probability": {"kind": "linear", "start": 0.2, "end": 0.9, "steps": 4},
}
LAZY = {"regularizers.r1": {"weight": 1.0, "every": 3}, "regularizers.path_length": {"weight": 2.0, "every": 2}}
ADAPTIVE = {
    "augment": ["mirror", "color"],
    "augment_probability": {"kind": "adaptive", "every": 2, "images": 100},
    "discriminator_steps": 2,
}
OTHERS = {
    "share_fakes": False,
    "accumulate": 4,
    "optimizers.generator.kind": "rmsprop",
    "optimizers.generator.momentum": 0.5,
    "optimizers.generator.clip_norm": 0.1,
    "optimizers.discriminator.kind": "sgd",
    "optimizers.discriminator.momentum": 0.9,
    "optimizers.discriminator.clip_norm": 0.1,
}

SCRABBLEGAN = {
    "batch_size": 4,
    "config": {
        "character_dim": 4,
        "style_dim": 4,
        "generator_widths": [4, 4],
        "discriminator_widths": [2, 4],
        "recogniser_widths": [2, 2, 4],
        "reading_width": 4,
    },
}

CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "shared fakes, batch norm, average": ("mnist-mlp", MLP),
    "drawn data": ("quadratic-mlp", {"config.generator_hidden": [8]}),
    "dropout": ("mnist-mlp-dropout", {**MLP, **DROPOUT}),
    "uniform latents, smoothed labels": ("mnist-mlp-small", MLP),
    "labels": ("mnist-cgan", MLP),
    "labels, pairs": ("mnist-cgan", {**MLP, "loss": "relativistic"}),
    "bf16": ("mnist-mlp", {**MLP, "precision": "bf16"}),
    "penalties": ("mnist-mlp", {**MLP, "regularizers.r1": 1.0, "regularizers.r2": 2.0}),
    "convolutions": ("cifar10-dcgan", DCGAN),
    "clipped weights, five discriminator steps": ("cifar10-wgan", DCGAN),
    "gradient penalty": ("cifar10-wgan-gp", DCGAN),
    "spectral norm, hinge": ("cifar10-sngan", SNGAN),
    "conditional norm, projection": ("cifar10-sngan", {**SNGAN, "conditional": True}),
    "penalties of grouped convolutions": ("cifar10-r3gan", R3GAN),
    "decoders of the discriminator, spectral norm": ("cifar10-dcgan", FASTGAN),
    "terms of both nets that see texts": ("words-scrabblegan", SCRABBLEGAN),
    "augmentations": ("cifar10-wgan-gp", {**DCGAN, "augment": ["mirror", "color", "translation", "cutout"]}),
    "linear decay": ("quadratic-mlp", {**LINEAR, "steps": 8}),
    "everything scheduled": ("mnist-cgan", {**MLP, **SCHEDULED}),
    "lazy regularizers of both nets": ("mnist-cgan", {**MLP, **LAZY}),
    "adaptive augmentation": ("cifar10-dcgan", {**DCGAN, **ADAPTIVE}),
    "other optimizers, clipped, in parts": ("mnist-mlp", {**MLP, **OTHERS}),
}
"""What a step may consist of."""


def make_state(samples: dict[str, Path], recipe: str, device: str = "cpu", **values: Any) -> TrainingState:
    settings = config.resolve(recipes.get(recipe), [Layer("test", values)], seed=5)
    spec, place = datasets.get(settings.recipe.dataset), torch.device(device)
    recipe, described = settings.recipe, model_config(settings.recipe, spec.sample)
    dataset = open_dataset(spec, "train", samples.get(spec.name))
    wanted = {"conditional": recipe.conditional, "text": described.sample.text}
    batches = open_batches(dataset, recipe.batch_size, 5, place, **wanted)
    return TrainingState(settings, described, batches, place)


def take(state: TrainingState, steps: int) -> Engine:
    taking = Engine(state)
    with state.ambient_randomness():
        for _ in range(steps):
            taking.step()
    return taking


@pytest.fixture
def samples(digits: Path, photographs: Path) -> dict[str, Path]:
    return {"mnist": digits, "cifar10": photographs}


def differences(state: TrainingState, other: TrainingState) -> dict[str, float]:
    """By how much the tensors of two states differ at most; those that do not are left out."""
    theirs = other.tensors()
    found = {
        name: float((tensor.double() - theirs[name].double()).abs().max())
        for name, tensor in state.tensors().items()
        if "seconds" not in name
    }
    return {name: value for name, value in found.items() if value}


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_a_graph_gives_the_very_numbers_of_the_eager_step(samples: dict[str, Path], case: str) -> None:
    recipe, values = CASES[case]
    eager, graph = (make_state(samples, recipe, engine=name, **values) for name in ("eager", "graph"))
    for state in (eager, graph):
        assert take(state, 6).name == state.settings.engine
    assert differences(graph, eager) == {}


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("c++") is None, reason="there is no compiler")
def test_a_compiled_step_differs_by_rounding_alone(samples: dict[str, Path]) -> None:
    recipe, values = CASES["drawn data"]
    # Where a gradient is little more than rounding, Adam makes a full step of it.
    gentle = {"optimizers.generator.eps": 1e-3, "optimizers.discriminator.eps": 1e-3}
    values = {**values, **gentle}
    eager, compiled = (make_state(samples, recipe, engine=name, **values) for name in ("eager", "compile"))
    for state in (eager, compiled):
        assert take(state, 6).name == state.settings.engine
    assert max(differences(compiled, eager).values(), default=0) < 1e-5


@pytest.mark.parametrize("case", CASES)
def test_nothing_in_a_step_makes_the_host_wait(samples: dict[str, Path], case: str) -> None:
    class NoReading(TorchDispatchMode):
        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            assert func not in (torch.ops.aten._local_scalar_dense.default, torch.ops.aten.nonzero.default)
            return func(*args, **(kwargs or {}))

    recipe, values = CASES[case]
    state = make_state(samples, recipe, **values)
    prepared = prepare_on_host(state)
    with NoReading():
        train_step(state.networks, materialize(state, prepared))


def by_value(net: torch.nn.Module, curves: torch.Tensor) -> torch.Tensor:
    return curves * float(curves.mean() > -99)


def by_counter(net: Any, curves: torch.Tensor) -> torch.Tensor:
    net.passes = getattr(net, "passes", 0) + 1
    return curves * (1 + net.passes / 8)


def by_new_buffer(net: Any, curves: torch.Tensor) -> torch.Tensor:
    net.seen = net.seen + 1
    return curves * (1 + net.seen / 8)


def by_own_tensor(net: Any, curves: torch.Tensor) -> torch.Tensor:
    if net.cache is None:
        net.cache = torch.full((), 0.5)
    return curves * net.cache


@pytest.mark.parametrize("name", ["graph", pytest.param("compile", marks=pytest.mark.gpu)])
@pytest.mark.parametrize("decide", [by_value, by_counter, by_new_buffer, by_own_tensor])
@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def test_what_cannot_be_recorded_is_taken_eagerly_and_said(
    samples: dict[str, Path], device: str, decide: Any, name: str
) -> None:
    recipe, values = CASES["drawn data"]
    states = [make_state(samples, recipe, device, engine=way, **values) for way in ("eager", name)]
    for state in states:
        net: Any = state.networks.discriminator
        net.register_buffer("seen", torch.zeros((), device=device))
        net.cache = None
        net.register_forward_pre_hook(lambda net, inputs: (decide(net, inputs[0]),))
        taking = take(state, 6)
    eager, recorded = states
    assert differences(recorded, eager) == {}
    if decide is not by_own_tensor:  # which may be recorded, for it stays as it is
        assert taking.name == "eager"
        assert taking.reason.startswith(f"this recipe cannot be recorded for {name}: ")
        assert "\n" not in taking.reason


@pytest.mark.parametrize("faster", ["eager", "graph"])
def test_auto_takes_what_was_faster_in_the_first_steps(
    samples: dict[str, Path], monkeypatch: pytest.MonkeyPatch, faster: str
) -> None:
    monkeypatch.setattr(engine, "MIN_SECONDS_LEFT", 0.0)
    recipe, values = CASES["shared fakes, batch norm, average"]
    eager, auto = (make_state(samples, recipe, engine=name, **values) for name in ("eager", "auto"))
    now = [0.0]
    monkeypatch.setattr(engine.time, "perf_counter", lambda: now[0])

    def slowly(way: Any, name: str) -> Any:
        return lambda inputs: (now.__setitem__(0, now[0] + (1 if name == faster else 2)), way(inputs))

    monkeypatch.setattr(engine, "traced", lambda *given, make=engine.traced: slowly(make(*given), "graph"))
    monkeypatch.setattr(engine, "train_step", lambda nets, inputs: slowly(partial(train_step, nets), "eager")(inputs))
    taking = take(auto, 50)
    assert (taking.name, taking.reason.split()[0]) == (faster, "2.00")
    take(eager, 50)
    assert differences(auto, eager) == {}


def test_auto_does_not_record_a_step_for_a_short_run(samples: dict[str, Path]) -> None:
    recipe, values = CASES["drawn data"]
    taking = take(make_state(samples, recipe, steps=30, **values), 30)
    assert (taking.name, taking.reason) == ("eager", "too few steps for a graph to pay off")


def test_step_sizes_go_down_in_a_straight_line_where_the_recipe_says_so(samples: dict[str, Path]) -> None:
    values = {"optimizers.generator.learning_rate": {"kind": "linear", "start": 0.5, "end": 0}, "steps": 10}
    state = make_state(samples, "quadratic-mlp", **values)
    sizes = []
    for state.step in range(10):
        scheduled = materialize(state, prepare_on_host(state)).scheduled
        sizes.append(float(scheduled.generator["learning_rate"]))
        assert float(scheduled.discriminator["learning_rate"]) == 1e-4
    assert sizes == pytest.approx([0.5 * (1 - step / 10) for step in range(10)])


def test_a_step_size_that_goes_down_moves_the_net_less_and_less(samples: dict[str, Path]) -> None:
    values = {**LINEAR, "steps": 10, **CASES["drawn data"][1]}
    state = make_state(samples, "quadratic-mlp", engine="graph", **values)
    taking, moves = Engine(state), []
    for _ in range(10):
        before = deepcopy(state.networks.generator)
        taking.step()
        pairs = zip(before.parameters(), state.networks.generator.parameters(), strict=True)
        moves.append(max(float((new - old).detach().abs().max()) for old, new in pairs))
    # Adam's first step is as long as the step size.
    assert moves[0] == pytest.approx(1e-4, rel=1e-2)
    assert moves[-1] < 0.3e-4


def test_a_run_may_go_on_with_another_engine_unless_it_rounds_otherwise(tmp_path: Path, digits: Path) -> None:
    settings = {**MLP, "steps": 6, "seed": 1, "log_every": 3, "checkpoint_every": 3}

    def weights(path: Path) -> bytes:
        return (path / "model.safetensors").read_bytes()

    whole = ganzoo.train("mnist-mlp", out=tmp_path / "a", data_dir=digits, settings={**settings, "engine": "eager"})
    job = Training.start("mnist-mlp", tmp_path / "b", [Layer("test", {**settings, "engine": "eager"})], digits)
    job.should_stop = lambda: job.state.step == 4
    list(job)
    other = Training.resume(job.run.path, [Layer("test", {"engine": "graph"})])
    list(other)
    assert other.engine.name == "graph"
    assert weights(job.run.path) == weights(whole.path)
    with pytest.raises(ResumeError, match="engine: graph -> compile"):
        Training.resume(job.run.path, [Layer("test", {"engine": "compile"})])


def test_a_run_whose_step_size_goes_down_keeps_its_length(tmp_path: Path) -> None:
    settings = {"steps": 3, **LINEAR}
    run = ganzoo.train("quadratic-mlp", out=tmp_path / "run", settings=settings)
    with pytest.raises(ResumeError, match="to another step than 3, where its schedules end"):
        Training.resume(run.path, [Layer("test", {"steps": 5})])


@pytest.mark.parametrize(
    ("fast", "hidden", "expected"), [(True, 1024, "bf16"), (True, 8, "fp32"), (False, 1024, "fp32")]
)
def test_auto_precision_looks_at_the_device_and_the_nets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fast: bool, hidden: int, expected: str
) -> None:
    monkeypatch.setattr(precision, "supports_bf16", lambda device: fast)
    values = {"steps": 1, "config.generator_hidden": [hidden, hidden]}
    job = Training.start("quadratic-mlp", tmp_path / "run", [Layer("test", values)])
    assert job.run.settings.precision == expected
    list(job)
    # A resumed run keeps its precision, on any machine.
    monkeypatch.setattr(precision, "supports_bf16", lambda device: not fast)
    asked = {"steps": 2, "precision": "auto"}
    assert Training.resume(job.run.path, [Layer("test", asked)]).state.settings.precision == expected


def test_on_a_cpu_training_leaves_the_rounding_of_float32_products_alone(tmp_path: Path, digits: Path) -> None:
    job = Training.start("mnist-mlp", tmp_path / "run", [Layer("test", {**MLP, "steps": 2})], digits)
    seen = []

    def note(*_: object) -> None:
        seen.append((torch.get_float32_matmul_precision(), torch.backends.cuda.matmul.allow_tf32))

    job.state.networks.generator.register_forward_pre_hook(note)
    before = torch.get_float32_matmul_precision(), torch.backends.cuda.matmul.allow_tf32
    list(job)
    assert set(seen) == {before}


@pytest.mark.gpu
@pytest.mark.filterwarnings("default")  # torch's compiler may advise on TF32
@pytest.mark.parametrize("name", ["graph", "compile"])
@pytest.mark.parametrize("case", [case for case in CASES if case != "dropout"])
def test_on_a_gpu_a_hundred_recorded_steps_are_close_to_eager_ones(
    samples: dict[str, Path], case: str, name: str
) -> None:
    recipe, values = CASES[case]
    gentle = {
        f"optimizers.{net}.eps": 1e-3
        for net in ("generator", "discriminator")
        if values.get(f"optimizers.{net}.kind") != "sgd"
    }
    values = {"precision": "fp32", **values, **gentle, "steps": 100}
    eager, recorded = (make_state(samples, recipe, "cuda", engine=way, **values) for way in ("eager", name))
    for state in (eager, recorded):
        with allow_tf32(state.device):  # as in every training
            taking = take(state, 100)
    assert taking.name == name, taking.reason
    found = differences(recorded, eager)
    assert int(found.get("latents/generator", 0)) == 0
    nets = [key for key in found if key.split("/")[0] in ("generator", "discriminator", "generator_ema")]
    assert max((found[key] for key in nets), default=0) < 2e-2


@pytest.mark.gpu
def test_on_a_gpu_a_run_is_trained_interrupted_resumed_sampled_and_measured(tmp_path: Path) -> None:
    settings = {"steps": 300, "checkpoint_every": 100, "device": "cuda", "engine": "graph"}
    job = Training.start("quadratic-mlp", tmp_path / "run", [Layer("test", settings)])
    job.should_stop = lambda: job.state.step == 150
    list(job)
    assert job.engine.name == "graph", job.engine.reason
    run = ganzoo.resume(job.run.path)
    assert ganzoo.load(run.path, device="cuda").sample(1000, seed=0).isfinite().all()
    measured = [ganzoo.evaluate(run.path, device=device).metrics[0].value for device in ("cuda", "cpu")]
    assert measured[0] == pytest.approx(measured[1], rel=0.02)


@pytest.mark.gpu
def test_on_a_gpu_recorded_steps_never_wait(samples: dict[str, Path]) -> None:
    recipe, values = CASES["dropout"]
    state = make_state(samples, recipe, "cuda", engine="graph", **values)
    taking = take(state, 5)
    assert taking.name == "graph", taking.reason
    try:
        with warnings.catch_warnings(action="ignore"):  # it calls itself a prototype
            torch.cuda.set_sync_debug_mode("error")
        with state.ambient_randomness():
            for _ in range(5):
                taking.step()
    finally:
        with warnings.catch_warnings(action="ignore"):
            torch.cuda.set_sync_debug_mode("default")


@pytest.mark.gpu
def test_on_a_gpu_no_two_replays_draw_the_same_numbers(samples: dict[str, Path]) -> None:
    recipe, values = CASES["drawn data"]
    frozen = {"optimizers.generator.learning_rate": 1e-12, "optimizers.discriminator.learning_rate": 1e-12}
    state = make_state(samples, recipe, "cuda", engine="graph", **values, **frozen)
    taking, losses = take(state, 5), []
    for _ in range(4):
        state.networks.sums.zero_()
        taking.step()
        losses.append(float(state.networks.sums[0]))
    assert len(set(losses)) == 4
