from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits as cross_entropy

from ganzoo.errors import UnknownNameError
from ganzoo.registry import losses, regularizers
from ganzoo.specs import Discriminators, GeneratorRegularizerInputs, RegularizerInputs

REAL = torch.tensor([2.0, -1.0, 0.5], dtype=torch.float64)
FAKE = torch.tensor([-3.0, 0.25, 1.0], dtype=torch.float64)


def close(found: torch.Tensor, expected: torch.Tensor) -> bool:
    return torch.allclose(found, expected, rtol=1e-12, atol=0)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("name", ["bce", "minimax"])
def test_the_cross_entropy_discriminator_is_torchs_own(name: str, smoothing: float) -> None:
    target = torch.full_like(REAL, 1 - smoothing)
    expected = cross_entropy(REAL, target) + cross_entropy(FAKE, torch.zeros_like(FAKE))
    assert close(losses.get(name).discriminator(REAL, FAKE, smoothing), expected)


def test_the_generators_of_cross_entropy() -> None:
    assert close(losses.get("bce").generator(FAKE, None), cross_entropy(FAKE, torch.ones_like(FAKE)))
    assert close(losses.get("minimax").generator(FAKE, None), (1 - FAKE.sigmoid()).log().mean())


@pytest.mark.parametrize(
    ("name", "loss_d", "loss_g"),
    [
        ("least_squares", ((REAL - 1) ** 2).mean() / 2 + (FAKE**2).mean() / 2, ((FAKE - 1) ** 2).mean() / 2),
        ("wasserstein", FAKE.mean() - REAL.mean(), -FAKE.mean()),
        ("hinge", (1 - REAL).clamp(min=0).mean() + (1 + FAKE).clamp(min=0).mean(), -FAKE.mean()),
        ("relativistic", -(REAL - FAKE).sigmoid().log().mean(), -(FAKE - REAL).sigmoid().log().mean()),
    ],
)
def test_losses_are_their_formulas(name: str, loss_d: torch.Tensor, loss_g: torch.Tensor) -> None:
    assert close(losses.get(name).discriminator(REAL, FAKE, 0.0), loss_d)
    assert close(losses.get(name).generator(FAKE, REAL), loss_g)


@pytest.mark.parametrize("name", losses.names())
def test_losses_stay_finite_for_extreme_logits(name: str) -> None:
    extreme = torch.tensor([-1e4, 1e4], requires_grad=True)
    loss = losses.get(name).discriminator(extreme, extreme, 0.0) + losses.get(name).generator(extreme, extreme)
    loss.backward()
    assert loss.isfinite()
    assert extreme.grad is not None
    assert extreme.grad.isfinite().all()


def penalty(name: str, critic: Callable[[torch.Tensor], torch.Tensor], real: torch.Tensor, fake: torch.Tensor) -> float:
    discriminators = Discriminators(real=critic, fake=critic)
    epsilon = torch.rand(len(real))
    given = RegularizerInputs(
        discriminators=discriminators, discriminator=nn.Identity(), real=real, fake=fake, epsilon=epsilon, state={}
    )
    return regularizers.get(name).compute(given).item()


def test_regularizers_of_a_linear_critic_are_known() -> None:
    weight = torch.tensor([3.0, 4.0])
    real, fake = torch.zeros(5, 2), torch.ones(5, 2)

    def critic(x: torch.Tensor) -> torch.Tensor:
        return x @ weight

    def value(name: str) -> float:
        return penalty(name, critic, real, fake)

    assert value("r1") == pytest.approx(25 / 2)
    assert value("r2") == pytest.approx(25 / 2)
    assert value("gradient_penalty") == pytest.approx((5 - 1) ** 2)


def test_r1_looks_at_real_samples_and_r2_at_fakes() -> None:
    real, fake = torch.full((4, 1), 2.0), torch.full((4, 1), 3.0)

    def critic(x: torch.Tensor) -> torch.Tensor:
        return x.square().sum(1)

    def value(name: str) -> float:
        return penalty(name, critic, real, fake)

    assert value("r1") == pytest.approx(4**2 / 2)
    assert value("r2") == pytest.approx(6**2 / 2)


def test_unknown_losses_are_refused() -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'hinge'"):
        losses.get("hinges")


def test_the_path_length_of_a_linear_generator_is_that_of_its_rows() -> None:
    torch.manual_seed(0)
    weight, state = torch.randn(3, 4), {"mean": torch.tensor(2.0)}
    latents, directions = torch.randn(5, 3), torch.randn(5, 4)
    given = GeneratorRegularizerInputs(
        generate=lambda latents: latents @ weight,
        latents=latents,
        fake=latents @ weight,
        discriminator=nn.Identity(),
        directions=directions,
        state=state,
    )
    # J^T y for each y; curves of 4 points, so y is divided by 2.
    lengths = (directions / 2 @ weight.T).norm(dim=1)
    mean = 0.99 * 2.0 + 0.01 * lengths.mean()
    assert regularizers.get("path_length").compute(given).item() == pytest.approx(
        ((lengths - mean) ** 2).mean().item(), rel=1e-5
    )
    assert state["mean"].item() == pytest.approx(mean.item())
