"""Every optimizer against torch's own."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from ganzoo.registry import optimizers
from ganzoo.specs import SGD, Adam, AdamW, RMSprop, Schedule
from ganzoo.specs.optimizers import OPTIMIZER_KINDS
from ganzoo.training.optimizers import build_optimizer

RATES = [0.1, 0.05, 0.2, 0.01]
GROWING = Schedule(kind="linear", start=0.5, end=0.9)


def torchs(parameters: list[nn.Parameter], settings: Any) -> torch.optim.Optimizer:
    """Torch's optimizer with the same settings."""
    kinds = {Adam: torch.optim.Adam, AdamW: torch.optim.AdamW, RMSprop: torch.optim.RMSprop, SGD: torch.optim.SGD}
    given = {
        name: value for name, value in vars(settings).items() if name not in ("kind", "learning_rate", "clip_norm")
    }
    if "betas" in given:
        given["betas"] = (0.5, 0.5)  # set before each step
    return kinds[type(settings)](parameters, lr=1.0, **given)


@pytest.mark.parametrize(
    "settings",
    [
        Adam(learning_rate=1),
        Adam(learning_rate=1, betas=(0.0, 0.99), eps=1e-5, weight_decay=0.1),
        Adam(learning_rate=1, betas=(0.5, GROWING), weight_decay=0.1),
        AdamW(learning_rate=1, weight_decay=0.1),
        AdamW(learning_rate=1, betas=(GROWING, 0.99), weight_decay=0.1),
        RMSprop(learning_rate=1),
        RMSprop(learning_rate=1, alpha=0.9, eps=1e-5, weight_decay=0.1, momentum=0.8),
        SGD(learning_rate=1),
        SGD(learning_rate=1, momentum=0.9, weight_decay=0.1),
        SGD(learning_rate=1, momentum=0.9, nesterov=True),
    ],
    ids=str,
)
def test_an_optimizer_is_torchs_own_whatever_the_strides_of_a_gradient(settings: Any) -> None:
    torch.manual_seed(0)
    net, twin = (nn.Conv2d(3, 4, 4).to(memory_format=torch.channels_last) for _ in range(2))
    twin.load_state_dict(net.state_dict())
    ours, theirs = build_optimizer(net, settings), torchs(list(twin.parameters()), settings)
    for rate in RATES:
        gradients = [torch.randn(parameter.shape) for parameter in net.parameters()]
        assert gradients[0].stride() != net.weight.stride()
        # As a schedule gives them: float64 on a CPU.
        values = {"learning_rate": torch.tensor(rate, dtype=torch.float64)}
        for group in theirs.param_groups:
            group["lr"] = rate
            if "betas" in group:
                group["betas"] = tuple(0.5 + rate if isinstance(beta, Schedule) else beta for beta in settings.betas)
                for index, beta in enumerate(settings.betas):
                    if isinstance(beta, Schedule):
                        values[f"betas.{index}"] = torch.tensor(0.5 + rate, dtype=torch.float64)

        ours.update(list(net.parameters()), gradients, values)

        for parameter, gradient in zip(twin.parameters(), gradients, strict=True):
            parameter.grad = gradient
        theirs.step()
        for parameter, other in zip(net.parameters(), twin.parameters(), strict=True):
            assert torch.allclose(parameter, other, rtol=1e-4, atol=1e-6)


def test_the_settings_of_every_kind_belong_to_a_registered_optimizer() -> None:
    assert {kind: optimizers.get(kind).config for kind in OPTIMIZER_KINDS} == OPTIMIZER_KINDS
