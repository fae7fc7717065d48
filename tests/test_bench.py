"""Speed: the baseline does the same as our step, and measurements are written down."""

from __future__ import annotations

import csv
from copy import deepcopy
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from ganzoo import config
from ganzoo.bench.baseline import Baseline, load_batches
from ganzoo.bench.compare import Request, Speed, compare
from ganzoo.bench.startup import COMMANDS, StartUp, start_ups
from ganzoo.bench.table import CsvTable
from ganzoo.config import Layer, TrainingSettings
from ganzoo.data import OpenedDataset, open_batches, open_dataset
from ganzoo.data.batches import Batches
from ganzoo.errors import UsageError
from ganzoo.registry import datasets, recipes
from ganzoo.training.inputs import materialize, prepare_on_host
from ganzoo.training.state import TrainingState
from ganzoo.training.step import train_step
from ganzoo.weights.model_config import model_config

CPU = torch.device("cpu")
FILES = Path(__file__).parent / "data"
OURS = sorted(name for name in recipes if [origin.distribution for origin in recipes.origins()[name]] == ["ganzoo"])

TINY: dict[str, dict[str, Any]] = {
    "mlp": {"config.generator_hidden": [8, 8], "config.discriminator_hidden": [8]},
    "dcgan": {"config.generator_widths": [8, 4], "config.discriminator_widths": [4, 8]},
    "resnet": {"config.generator_widths": [8, 8, 8, 8], "config.discriminator_widths": [8, 8, 8, 8]},
    "r3gan": {"config.widths": [8, 8, 8, 8], "config.cardinalities": [2, 2, 2, 2], "config.blocks_per_stage": 1},
    "fastgan": {
        "config.generator_widths": [8, 8, 8, 8, 8],
        "config.discriminator_widths": [4, 4, 8, 8],
        "config.decoder_width": 4,
    },
    "scrabblegan": {
        "config.character_dim": 4,
        "config.style_dim": 4,
        "config.generator_widths": [4, 4],
        "config.discriminator_widths": [2, 4],
        "config.recogniser_widths": [2, 2, 4],
        "config.reading_width": 4,
    },
}
"""By architecture. Others are trained as large as they are."""

# Biases before batch normalisation have no gradient but rounding, which a small eps would blow up to whole steps.
ROUNDING = {"optimizers.generator.eps": 1e-3, "optimizers.discriminator.eps": 1e-3}


def open_tiny(recipe: str, **values: Any) -> tuple[TrainingSettings, OpenedDataset]:
    tiny = TINY.get(recipes.get(recipe).architecture, {})
    settings = config.resolve(recipes.get(recipe), [Layer("test", {**tiny, "batch_size": 4, **values})], seed=5)
    # A folder of images is what the files of MJSynth are, too.
    folder = FILES / ("mjsynth" if settings.recipe.dataset == "folder" else settings.recipe.dataset)
    spec = datasets.get(settings.recipe.dataset)
    return settings, open_dataset(spec, settings.recipe.split, folder if folder.is_dir() else None)


def assert_close(net: nn.Module, other: nn.Module) -> None:
    for (name, tensor), theirs in zip(net.state_dict().items(), other.state_dict().values(), strict=True):
        assert torch.allclose(tensor, theirs, rtol=1e-4, atol=2e-6), name


def assert_the_baseline_is_ours(recipe: str, **values: Any) -> None:
    settings, dataset = open_tiny(recipe, **ROUNDING | values)
    described = model_config(settings.recipe, dataset.spec.sample)

    def batches() -> Batches:
        recipe = settings.recipe
        return open_batches(
            dataset,
            recipe.batch_size,
            settings.seed,
            CPU,
            drop_last=recipe.drop_last,
            conditional=recipe.conditional,
            text=described.sample.text,
        )

    state = TrainingState(settings, described, batches(), CPU)
    state.networks.concat_real_fake = False  # so that dropout falls on the same units
    # The same batches, and random numbers of the same seed, drawn in the same order.
    baseline, start = Baseline(settings, described, iter(batches().next, None), CPU), deepcopy(state.networks)
    for number in range(3):
        torch.manual_seed(number)
        train_step(state.networks, materialize(state, prepare_on_host(state)))
        state.step += 1
        torch.manual_seed(number)
        assert baseline.step() == pytest.approx(state.networks.sums[:2].tolist(), rel=1e-4, abs=1e-5)
        state.networks.sums.zero_()
    assert_close(state.networks.generator, baseline.generator)
    assert_close(state.networks.discriminator, baseline.discriminator)
    if state.networks.generator_ema is None:
        assert baseline.generator_ema is None
    else:
        assert baseline.generator_ema is not None
        for ours, theirs in zip(
            state.networks.generator_ema.parameters(), baseline.generator_ema.parameters(), strict=True
        ):
            assert torch.allclose(ours, theirs, rtol=1e-4, atol=2e-6)
    assert not torch.allclose(next(start.generator.parameters()), next(baseline.generator.parameters()), atol=1e-5)


@pytest.mark.parametrize("recipe", OURS)
def test_the_baseline_computes_the_same_step_for_every_recipe(recipe: str) -> None:
    values: dict[str, Any] = {}
    if recipe == "cifar10-wgan":  # with its own learning rate and our eps, RMSprop hardly moves in three steps
        values = {"optimizers.generator.learning_rate": 1e-3}
    if recipe == "folder-fastgan":
        # It compares images by absolute differences. Where both are flat, these are zero but for rounding, which
        # chooses the sign of the gradient: in batches of 8, one thread and two differ by 1 %.
        values = {f"optimizers.{net}.eps": 0.1 for net in ("generator", "discriminator")}
    assert_the_baseline_is_ours(recipe, **values)


@pytest.mark.parametrize(
    "values",
    [
        {"loss": "relativistic", "regularizers.r1": 1.0, "regularizers.r2": 1.0},
        {"regularizers.gradient_penalty": 10.0, "discriminator_steps": 3},
        {"loss": "wasserstein", "weight_clip": 0.01, "discriminator_steps": 2, "update_order": "generator_first"},
        {
            "optimizers.generator.learning_rate": {"kind": "linear", "start": 2e-4, "end": 0},
            "optimizers.discriminator.learning_rate": {"kind": "linear", "start": 2e-4, "end": 0},
            "steps": 4,
        },
        {"optimizers.generator.weight_decay": 0.1, "discriminator_loss": "mean", "label_smoothing": 0.1},
        {"update_order": "generator_first", "share_fakes": True, "ema_decay": None},
        {"update_order": "discriminator_first", "share_fakes": True},
        {"share_fakes": True, "update_order": "discriminator_first", "augment": ["cutout"], "regularizers.r1": 1.0},
        {"drop_last": False, "batch_size": 100},
        {"optimizers.generator.kind": "rmsprop", "regularizers.r1": {"weight": 1.0, "every": 2}},
        {"optimizers.discriminator.kind": "adamw", "optimizers.discriminator.clip_norm": 0.1},
        {"augment": ["color", "translation", "cutout"], "loss": "relativistic", "regularizers.r1": 1.0},
    ],
    ids=lambda values: ",".join(values),
)
def test_the_baseline_computes_the_same_step_for_every_setting(values: dict[str, Any]) -> None:
    assert_the_baseline_is_ours("mnist-cgan", **values)


@pytest.mark.parametrize("recipe", OURS)
def test_the_baseline_trains_every_recipe_on_its_own_batches(recipe: str) -> None:
    settings, dataset = open_tiny(recipe)
    described = model_config(settings.recipe, dataset.spec.sample)
    batches = load_batches(dataset, settings.recipe.batch_size, text=described.sample.text)
    loop = Baseline(settings, described, batches, CPU)
    for _ in range(2):
        loop.step()


def test_the_baseline_reads_the_values_and_labels_that_we_train_on() -> None:
    settings, dataset = open_tiny("mnist-cgan", batch_size=256)
    (ours, our_labels), (theirs, their_labels) = (
        open_batches(dataset, 256, settings.seed, CPU).next(),
        next(load_batches(dataset, 256)),
    )
    assert our_labels is not None
    assert their_labels is not None

    def ordered(samples: torch.Tensor, labels: torch.Tensor) -> list[list[float]]:
        return sorted([float(label), *sample.flatten().tolist()] for sample, label in zip(samples, labels, strict=True))

    assert torch.tensor(ordered(theirs, their_labels)).allclose(torch.tensor(ordered(ours, our_labels)), atol=1e-6)


@pytest.mark.slow
def test_every_variant_is_measured_with_what_it_ran_on() -> None:
    settings, _ = open_tiny("mnist-cgan", device="cpu", steps=7)
    reported: list[str] = []
    request = Request(
        settings=settings,
        data_dir=FILES / "mnist",
        engines=["eager"],
        precisions=["fp32"],
        rounds=2,
        seconds=0.02,
        samples=10,
    )
    baseline, eager, sample = compare(request, reported.append)
    assert [(speed.variant, speed.precision, speed.batch) for speed in (baseline, eager, sample)] == [
        ("baseline", "fp32", 4),
        ("eager", "fp32", 4),
        ("sample", "fp32", 10),
    ]
    assert (baseline.times_baseline, sample.times_baseline) == (1, None)
    for speed in (baseline, eager, sample):
        assert speed.slowest <= speed.steps_per_second <= speed.fastest
        assert speed.images_per_second == pytest.approx(speed.steps_per_second * speed.batch, rel=1e-3)
        assert speed.microseconds_per_step == pytest.approx(1e6 / speed.steps_per_second, rel=1e-3)
        assert (speed.device, speed.threads, speed.torch) == ("cpu", torch.get_num_threads(), torch.__version__)
        assert speed.images_per_second_evaluated is None
    assert reported[0] == "baseline fp32: preparing"


@pytest.mark.slow
def test_real_images_are_those_of_every_update_of_the_discriminator_and_an_evaluation_takes_its_time() -> None:
    settings, _ = open_tiny("quadratic-mlp", device="cpu", discriminator_steps=3, eval_every=10)
    request = Request(
        settings=settings,
        engines=["graph"],
        precisions=["fp32"],
        rounds=1,
        seconds=0.01,
        samples=2,
        with_evaluation=True,
    )
    baseline, graph, sample = compare(request)
    assert (graph.variant, graph.evaluate_every, sample.evaluate_every) == ("graph", 10, None)
    for speed in (baseline, graph):
        assert speed.images_per_second == pytest.approx(12 * speed.steps_per_second, rel=1e-3)
        assert speed.evaluation_seconds is not None
        seconds = 10 / speed.steps_per_second + speed.evaluation_seconds
        assert speed.images_per_second_evaluated == pytest.approx(120 / seconds, rel=5e-3)


def test_an_unavailable_engine_is_left_out_with_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    from ganzoo.bench import variants

    def refused(*_: object) -> None:
        raise RuntimeError("it depends on values")

    monkeypatch.setattr("ganzoo.training.engines.engine.traced", refused)
    settings, _ = open_tiny("quadratic-mlp", device="cpu")
    runner = variants.start(variants.Variant("graph", "fp32"), variants.Workload(settings, None, 1))
    assert runner.problem == "this recipe cannot be recorded for graph: it depends on values"


def row(command: str) -> StartUp:
    values: dict[str, Any] = {field.name: 0 for field in fields(StartUp)}
    return StartUp(**{**values, "command": command, "machine": "a, b"})


def test_rows_are_added_below_one_line_of_names(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "rows.csv"
    CsvTable(path, StartUp).append([row("one")])
    path.write_text(path.read_text().rstrip("\n"))  # as editors may leave it
    CsvTable(path, StartUp).append([row("two"), row("three")])
    with path.open(newline="") as file:
        found = list(csv.DictReader(file))
    assert [line["command"] for line in found] == ["one", "two", "three"]
    assert {line["machine"] for line in found} == {"a, b"}


def test_a_file_with_other_columns_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    CsvTable(path, StartUp).append([row("one")])
    before = path.read_bytes()
    with pytest.raises(UsageError, match="other columns") as caught:
        CsvTable(path, Speed)
    assert "another file" in caught.value.hint
    assert path.read_bytes() == before


@pytest.mark.slow
def test_starts_are_timed_without_torch_where_none_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    found = {start_up.command: start_up for start_up in start_ups(1)}
    assert len(found) == len(COMMANDS)
    assert [name for name, start_up in found.items() if start_up.loads_torch] == [
        "ganzoo sample mnist-mlp --num 1 --seed 0 --out x.png"
    ]
    for start_up in found.values():
        assert 0 < start_up.fastest <= start_up.seconds <= start_up.slowest
        assert start_up.modules > 100


def test_the_committed_rows_have_the_columns_of_today() -> None:
    folder = FILES.parent.parent / "docs" / "benchmarks"
    for path, kind in ((folder / "cpu-2-cores.csv", Speed), (folder / "startup.csv", StartUp)):
        CsvTable(path, kind)
        assert path.is_file()
