"""The arithmetic of a step, against a plain loop written out by hand."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from ganzoo import config, randomness
from ganzoo.config import Layer
from ganzoo.data import open_batches, open_dataset
from ganzoo.registry import datasets, losses, recipes
from ganzoo.specs import RegularizerInputs
from ganzoo.training.inputs import materialize, prepare_on_host
from ganzoo.training.state import TrainingState
from ganzoo.training.step import train_step as take_step
from ganzoo.training.step import update_ema, update_generator
from ganzoo.weights.model_config import model_config
from tests.conftest import CONSTANT_RATES

CPU = torch.device("cpu")
TINY = {"config.generator_hidden": [8, 8], "config.discriminator_hidden": [8], "batch_size": 16}


UNREGULARIZED = {"regularizers": {}, **CONSTANT_RATES}
"""mnist-mlp without R1 and schedules, so that a step fits into the lines of a test."""


def make_state(digits: Path, recipe: str = "mnist-mlp", **values: Any) -> TrainingState:
    plain = UNREGULARIZED if recipe == "mnist-mlp" else {}
    settings = config.resolve(recipes.get(recipe), [Layer("test", {**TINY, **plain, **values})], seed=5)
    spec = datasets.get(settings.recipe.dataset)
    dataset = open_dataset(spec, "train", digits if spec.name == "mnist" else None)
    size, drop_last = settings.recipe.batch_size, settings.recipe.drop_last
    batches = open_batches(dataset, size, settings.seed, CPU, drop_last=drop_last)
    return TrainingState(settings, model_config(settings.recipe, spec.sample), batches, CPU)


def train_step(state: TrainingState) -> None:
    take_step(state.networks, materialize(state, prepare_on_host(state)))
    state.step += 1


def assert_same_weights(net: nn.Module, other: nn.Module) -> None:
    for (name, tensor), theirs in zip(net.state_dict().items(), other.state_dict().values(), strict=True):
        assert torch.allclose(tensor, theirs, rtol=1e-4, atol=1e-6), name


def unfused(net: nn.Module, spec: Any) -> torch.optim.Adam:
    return torch.optim.Adam(net.parameters(), lr=spec.learning_rate, betas=spec.betas, eps=spec.eps)


@pytest.mark.parametrize("loss", ["bce", "least_squares", "minimax"])
def test_mnist_mlp_updates_the_generator_first_then_the_discriminator_on_the_same_fakes(
    digits: Path, loss: str
) -> None:
    # Without batch normalisation: the biases before it have no gradient but rounding, which Adam would blow up.
    exact = {"loss": loss, "ema_decay": None, "config.batch_norm": False}
    state, twin = (make_state(digits, **exact) for _ in range(2))
    recipe = state.settings.recipe
    generator, discriminator = twin.networks.generator, twin.networks.discriminator
    optimizer_g = unfused(generator, recipe.optimizers.generator)
    optimizer_d = unfused(discriminator, recipe.optimizers.discriminator)
    for _ in range(5):
        train_step(state)

        fake = generator(randomness.draw_latents(recipe.latent, 16, twin.latent_source))
        optimizer_g.zero_grad()
        losses.get(loss).generator(discriminator(fake), None).backward()
        optimizer_g.step()
        real = twin.batches.next().samples
        optimizer_d.zero_grad()
        loss_d = losses.get(loss).discriminator(discriminator(real), discriminator(fake.detach()), 0.0) / 2
        loss_d.backward()
        optimizer_d.step()
    assert_same_weights(state.networks.generator, generator)
    assert_same_weights(state.networks.discriminator, discriminator)


def test_quadratic_mlp_updates_the_discriminator_first_with_fakes_of_its_own(digits: Path) -> None:
    tiny = {"config.generator_hidden": [8]}
    state, twin = (make_state(digits, "quadratic-mlp", **tiny) for _ in range(2))
    recipe = state.settings.recipe
    generator, discriminator = twin.networks.generator, twin.networks.discriminator
    optimizer_g = unfused(generator, recipe.optimizers.generator)
    optimizer_d = unfused(discriminator, recipe.optimizers.discriminator)
    for _ in range(5):
        train_step(state)

        real = twin.batches.next().samples
        fake = generator(randomness.draw_latents(recipe.latent, 16, twin.latent_source)).detach()
        optimizer_d.zero_grad()
        loss_d = -discriminator(real).sigmoid().log().mean() - (1 - discriminator(fake).sigmoid()).log().mean()
        loss_d.backward()
        optimizer_d.step()
        fake = generator(randomness.draw_latents(recipe.latent, 16, twin.latent_source))
        optimizer_g.zero_grad()
        (1 - discriminator(fake).sigmoid()).log().mean().backward()
        optimizer_g.step()
    assert_same_weights(state.networks.generator, generator)
    assert_same_weights(state.networks.discriminator, discriminator)


def test_fakes_of_the_discriminators_update_are_those_of_the_generators_after_it(digits: Path) -> None:
    # As the DCGAN example of pytorch/examples does: one forward pass of the generator for both updates.
    settings = {
        "share_fakes": True,
        "update_order": "discriminator_first",
        "config.batch_norm": False,
        "ema_decay": None,
        "loss": "bce",
        "discriminator_loss": "sum",
    }
    state, twin = (make_state(digits, **settings) for _ in range(2))
    recipe = state.settings.recipe
    generator, discriminator = twin.networks.generator, twin.networks.discriminator
    optimizer_g = unfused(generator, recipe.optimizers.generator)
    optimizer_d = unfused(discriminator, recipe.optimizers.discriminator)
    passes: list[int] = []
    state.networks.generator.register_forward_hook(lambda net, inputs, output: passes.append(len(output)))
    for _ in range(5):
        train_step(state)

        real = twin.batches.next().samples
        fake = generator(randomness.draw_latents(recipe.latent, 16, twin.latent_source))
        optimizer_d.zero_grad()
        losses.get("bce").discriminator(discriminator(real), discriminator(fake.detach()), 0.0).backward()
        optimizer_d.step()
        optimizer_g.zero_grad()
        losses.get("bce").generator(discriminator(fake), None).backward()
        optimizer_g.step()
    assert passes == [16] * 5
    assert_same_weights(state.networks.generator, generator)
    assert_same_weights(state.networks.discriminator, discriminator)


@pytest.mark.parametrize("share_fakes", [False, True])
@pytest.mark.parametrize("update_order", ["generator_first", "discriminator_first"])
def test_an_incomplete_batch_has_as_many_fakes(digits: Path, update_order: str, share_fakes: bool) -> None:
    settings = {"update_order": update_order, "share_fakes": share_fakes, "augment": ["mirror"], "batch_size": 96}
    state = make_state(digits, drop_last=False, conditional=True, **{**settings, "regularizers.gradient_penalty": 1.0})
    sizes: list[int] = []
    state.networks.generator.register_forward_hook(lambda net, inputs, output: sizes.append(len(output)))
    for _ in range(4):
        train_step(state)
    per_step = 1 if share_fakes else 2
    assert sizes == [size for size in (96, 96, 64, 96) for _ in range(per_step)]
    assert state.networks.sums.isfinite().all()


def test_a_clipped_critic_is_clipped_after_each_of_its_updates(digits: Path) -> None:
    settings = {
        "loss": "wasserstein",
        "weight_clip": 0.01,
        "discriminator_steps": 3,
        "update_order": "discriminator_first",
        "share_fakes": False,
        "discriminator_loss": "sum",
        "config.batch_norm": False,
        "ema_decay": None,
        # The loss has no gradient for the last bias but rounding, which Adam would blow up.
        "optimizers.generator.eps": 1e-3,
        "optimizers.discriminator.eps": 1e-3,
        "optimizers.discriminator.learning_rate": 1e-2,
    }
    state, twin = (make_state(digits, **settings) for _ in range(2))
    recipe = state.settings.recipe
    generator, critic = twin.networks.generator, twin.networks.discriminator
    optimizer_g = unfused(generator, recipe.optimizers.generator)
    optimizer_d = unfused(critic, recipe.optimizers.discriminator)
    for _ in range(3):
        train_step(state)

        for _ in range(3):
            real = twin.batches.next().samples
            fake = generator(randomness.draw_latents(recipe.latent, 16, twin.latent_source)).detach()
            optimizer_d.zero_grad()
            (critic(fake).mean() - critic(real).mean()).backward()
            optimizer_d.step()
            with torch.no_grad():
                for parameter in critic.parameters():
                    parameter.clamp_(-0.01, 0.01)
        fake = generator(randomness.draw_latents(recipe.latent, 16, twin.latent_source))
        optimizer_g.zero_grad()
        (-critic(fake).mean()).backward()
        optimizer_g.step()
    assert_same_weights(state.networks.generator, generator)
    assert_same_weights(state.networks.discriminator, critic)


def test_the_generators_update_leaves_no_gradient_in_the_discriminator(digits: Path) -> None:
    state = make_state(digits)
    before = deepcopy(state.networks.discriminator)
    inputs = materialize(state, prepare_on_host(state))
    update_generator(state.networks, inputs.generator, inputs.scheduled, None)
    assert all(parameter.grad is None for parameter in state.networks.discriminator.parameters())
    assert_same_weights(state.networks.discriminator, before)


def test_several_discriminator_steps_take_as_many_batches(digits: Path) -> None:
    state = make_state(digits, discriminator_steps=3, share_fakes=False, update_order="discriminator_first")
    train_step(state)
    assert int(state.batches.state_dict()["taken"]) == 3


@pytest.mark.parametrize("name", ["r1", "r2", "gradient_penalty"])
def test_a_regularizer_enters_the_loss_with_its_weight(digits: Path, name: str) -> None:
    plain, regularized, heavier = (
        make_state(digits, **values) for values in ({}, {f"regularizers.{name}": 1.0}, {f"regularizers.{name}": 3.0})
    )
    for state in (plain, regularized, heavier):
        train_step(state)
    losses = [float(state.networks.sums[0]) for state in (plain, regularized, heavier)]
    assert losses[2] - losses[0] == pytest.approx(3 * (losses[1] - losses[0]), rel=1e-3)
    assert losses[1] > losses[0]


@pytest.mark.parametrize("loss", losses.names())
@pytest.mark.parametrize("conditional", [False, True])
def test_every_loss_trains_with_and_without_labels(digits: Path, loss: str, conditional: bool) -> None:
    state = make_state(digits, loss=loss, conditional=conditional, share_fakes=False)
    before = deepcopy(state.networks.generator)
    for _ in range(2):
        train_step(state)
    assert state.networks.sums.isfinite().all()
    assert any(
        not torch.equal(a, b) for a, b in zip(before.parameters(), state.networks.generator.parameters(), strict=True)
    )


def test_bf16_stays_close_to_fp32_and_keeps_parameters_in_float32(digits: Path) -> None:
    exact, rough = make_state(digits), make_state(digits, precision="bf16")
    for state in (exact, rough):
        train_step(state)
    assert {parameter.dtype for parameter in rough.networks.generator.parameters()} == {torch.float32}
    assert rough.networks.sums.tolist() == pytest.approx(exact.networks.sums.tolist(), abs=0.02)
    assert rough.networks.sums.tolist() != exact.networks.sums.tolist()


def test_one_pass_or_two_give_the_same_step(digits: Path) -> None:
    joint, apart = (make_state(digits, **{"config.batch_norm": False}) for _ in range(2))
    apart.networks.concat_real_fake = False
    assert joint.networks.concat_real_fake
    for state in (joint, apart):
        for _ in range(3):
            train_step(state)
    assert_same_weights(joint.networks.discriminator, apart.networks.discriminator)


def test_a_conditional_discriminator_judges_fakes_by_their_own_labels(
    digits: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: dict[str, torch.Tensor | None] = {}

    def watch(inputs: RegularizerInputs) -> torch.Tensor:
        seen["fake"] = inputs.discriminators.fake(inputs.fake)
        seen["real labels"] = inputs.discriminators.real(inputs.fake)
        return inputs.real.sum() * 0

    monkeypatch.setattr("ganzoo_losses.regularizers.r2", watch)
    state = make_state(digits, conditional=True, **{"regularizers.r2": 1.0})
    train_step(state)
    assert not torch.equal(seen["fake"], seen["real labels"])  # type: ignore[arg-type]


def test_paired_losses_compare_samples_of_one_class(digits: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from ganzoo.training import step

    pairs = []
    discriminate = step.discriminate
    monkeypatch.setattr(
        step, "discriminate", lambda net, samples, labels: (pairs.append(labels), discriminate(net, samples, labels))[1]
    )
    state = make_state(digits, loss="relativistic", conditional=True, share_fakes=False)
    train_step(state)
    fake_labels, real_labels, both = pairs
    assert torch.equal(fake_labels, real_labels)
    assert torch.equal(*both.chunk(2))


def test_the_discriminator_sees_nothing_but_augmented_images(digits: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def white(images: torch.Tensor, numbers: torch.Tensor) -> torch.Tensor:
        return images * 0 + numbers.mean()

    monkeypatch.setattr("ganzoo_augmentations.functions.color", white)
    seen = []
    augmented = {"augment": ["color"], "loss": "relativistic", "share_fakes": False, "regularizers.r1": 1.0}
    state = make_state(digits, **augmented)
    state.networks.discriminator.register_forward_pre_hook(lambda net, inputs: seen.append(inputs[0].detach()))
    train_step(state)
    # The generator's update: fakes, real; the discriminator's: both at once, real for its penalty.
    assert [len(images) for images in seen] == [16, 16, 32, 16]
    assert all(len(part.unique()) == 1 for images in seen for part in images.split(16))


def test_the_generator_learns_through_augmentations(digits: Path) -> None:
    plain, augmented = (make_state(digits, augment=names) for names in ([], ["translation", "cutout"]))
    for state in (plain, augmented):
        train_step(state)
    moved = zip(plain.networks.generator.parameters(), augmented.networks.generator.parameters(), strict=True)
    assert any(not torch.equal(a, b) for a, b in moved)


def test_the_average_moves_by_one_minus_the_decay() -> None:
    net, average = nn.BatchNorm1d(2), nn.BatchNorm1d(2)
    with torch.no_grad():
        net.weight.fill_(3.0)
        net.running_mean.fill_(1.0)
        net.num_batches_tracked.fill_(9)
    update_ema(average, net, torch.tensor(0.25))
    assert average.weight.tolist() == [1.5, 1.5]
    assert average.running_mean.tolist() == [0.25, 0.25]
    assert int(average.num_batches_tracked) == 9


def test_a_step_leaves_the_callers_random_numbers_alone(digits: Path) -> None:
    state = make_state(digits, **{"config.discriminator_dropout": 0.5})
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    with state.ambient_randomness():
        train_step(state)
    assert torch.equal(torch.rand(3), expected)
