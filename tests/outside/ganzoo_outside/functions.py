"""A loss, a regularizer with state, an optimizer and a metric."""

import torch
from torch import nn


def exponential_discriminator(real, fake, smoothing):
    return (-real / 2).exp().mean() + (fake / 2).exp().mean()


def exponential_generator(fake, real):
    return (-fake / 2).exp().mean()


def drift_state():
    return {"mean": torch.zeros(())}


def drift(inputs):
    logits = inputs.discriminators.real(inputs.real)
    mean = torch.lerp(inputs.state["mean"], logits.detach().mean(), 0.1)
    inputs.state["mean"].copy_(mean)
    return (logits - mean).square().mean()


class Lion(nn.Module):
    """Chen et al., algorithm 2, without weight decay."""

    def __init__(self, parameters, config):
        super().__init__()
        self.config = config
        for index, parameter in enumerate(parameters):
            self.register_buffer(f"mean_{index}", torch.zeros_like(parameter, requires_grad=False))

    @torch.no_grad()
    def update(self, parameters, gradients, values):
        first, second = self.config.betas[0], values.get("betas.1", self.config.betas[1])
        for parameter, gradient, mean in zip(parameters, gradients, self.buffers(), strict=True):
            step = torch.lerp(gradient, mean, first).sign()
            parameter.sub_(values["learning_rate"].float() * step)
            mean.lerp_(gradient, torch.as_tensor(1 - second).float())


def mean(inputs):
    fake, real = inputs.samples, inputs.real()
    return float((fake.mean() - real.mean()).abs() + (fake.std() - real.std()).abs())
