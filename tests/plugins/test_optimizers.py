"""Every optimizer against torch's own."""

from __future__ import annotations

import torch
from torch import nn

from ganzoo.specs import Adam
from ganzoo_optimizers.adam import FusedAdam


def test_the_strides_of_a_gradient_do_not_matter() -> None:
    torch.manual_seed(0)
    net, twin = (nn.Conv2d(3, 4, 4).to(memory_format=torch.channels_last) for _ in range(2))
    twin.load_state_dict(net.state_dict())
    gradients = [torch.randn(parameter.shape) for parameter in net.parameters()]
    assert gradients[0].stride() != net.weight.stride()

    parameters = list(net.parameters())
    FusedAdam(parameters, Adam(learning_rate=0.1)).update(parameters, gradients, {"learning_rate": torch.tensor(0.1)})

    theirs = torch.optim.Adam(twin.parameters(), lr=0.1)
    for parameter, gradient in zip(twin.parameters(), gradients, strict=True):
        parameter.grad = gradient
    theirs.step()
    for parameter, other in zip(net.parameters(), twin.parameters(), strict=True):
        assert torch.allclose(parameter, other, atol=1e-6)
