"""The arithmetic of one update: tensors in, tensors changed. It decides nothing by their values."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ganzoo.augmentations import augment
from ganzoo.distributed.processes import Processes
from ganzoo.losses import REGULARIZERS, Critics
from ganzoo.training.engines.fused_adam import FusedAdam, trainable
from ganzoo.training.inputs import DiscriminatorInputs, GeneratorInputs, StepInputs
from ganzoo.training.networks import Networks


def update(networks: Networks, inputs: StepInputs) -> None:
    """Update both nets once (the discriminator `discriminator_steps` times), in the recipe's order."""
    recipe = networks.recipe
    fakes = None
    if recipe.update_order == "generator_first":
        fakes, loss_g = update_generator(networks, inputs.generator, inputs.rates.generator)
    for part in inputs.discriminator:
        shared = fakes if recipe.share_fakes else None
        loss_d, scores = update_discriminator(networks, part, inputs.rates.discriminator, shared)
    if recipe.update_order == "discriminator_first":
        _, loss_g = update_generator(networks, inputs.generator, inputs.rates.generator)
    if networks.generator_ema is not None:
        update_ema(networks.generator_ema, networks.generator, inputs.rates.ema_weight)
    # Summed on the device: reading a number would make the host wait for it.
    networks.sums.add_(torch.cat([torch.stack([loss_d, loss_g]), scores]))


Fakes = tuple[Tensor, Tensor | None]
"""Generated samples [batch, *shape], and the labels int64 [batch] that they were asked for."""


def update_discriminator(
    networks: Networks, inputs: DiscriminatorInputs, learning_rate: Tensor, fakes: Fakes | None
) -> tuple[Tensor, Tensor]:
    """Real up, fake down. Returns the loss and the scores [4], both from before the update.

    Without given fakes it generates its own, of the labels of the real samples.
    """
    recipe, discriminator = networks.recipe, networks.discriminator
    real, real_labels = inputs.real.samples, inputs.real.labels if recipe.conditional else None
    if fakes is None:
        assert inputs.latents is not None
        with torch.no_grad(), networks.autocast():
            fakes = generate(networks.generator, inputs.latents, real_labels), real_labels
    fake, fake_labels = fakes[0].detach().float(), fakes[1]
    real, fake = _augmented(networks, real, inputs.augment, 0), _augmented(networks, fake, inputs.augment, 1)

    with networks.autocast():
        if networks.concat_real_fake:
            labels = None if real_labels is None or fake_labels is None else torch.cat([real_labels, fake_labels])
            real_logits, fake_logits = discriminate(discriminator, torch.cat([real, fake]), labels).split(len(real))
        else:
            real_logits = discriminate(discriminator, real, real_labels)
            fake_logits = discriminate(discriminator, fake, fake_labels)
    loss = networks.loss.discriminator(real_logits, fake_logits, recipe.label_smoothing)
    if recipe.discriminator_loss == "mean":
        loss = loss / 2
    critics = Critics(
        real=lambda samples: discriminate(discriminator, samples, real_labels),
        fake=lambda samples: discriminate(discriminator, samples, fake_labels),
    )
    for name, weight in recipe.regularizers.items():
        # In full precision: these differentiate the gradient itself.
        assert inputs.epsilon is not None
        loss = loss + weight * REGULARIZERS[name](critics, real, fake, inputs.epsilon)

    _optimizer_step(discriminator, networks.discriminator_optimizer, loss, learning_rate, networks.processes)
    if recipe.weight_clip is not None:
        clip_weights(discriminator, recipe.weight_clip)
    return loss.detach(), score(real_logits.detach(), fake_logits.detach())


def score(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """Return [4]: mean s(logit) of real and of fake samples, mean sign of their logits."""
    logits = torch.stack([real_logits, fake_logits])  # as one tensor, for each operation costs the same however small
    return torch.cat([logits.sigmoid(), logits.sign()]).mean(1)


def update_generator(networks: Networks, inputs: GeneratorInputs, learning_rate: Tensor) -> tuple[Fakes, Tensor]:
    """Make the discriminator mistake fakes for real. Returns the fakes, made before the update, and the loss."""
    with networks.autocast():
        fake = generate(networks.generator, inputs.latents, inputs.labels)
    shown = _augmented(networks, fake, inputs.augment, 1)
    with networks.autocast():
        fake_logits = discriminate(networks.discriminator, shown, inputs.labels)
    real_logits = None
    if inputs.real is not None:
        real = _augmented(networks, inputs.real.samples, inputs.augment, 0)
        with torch.no_grad(), networks.autocast():
            real_logits = discriminate(networks.discriminator, real, inputs.labels)
    loss = networks.loss.generator(fake_logits, real_logits)
    _optimizer_step(networks.generator, networks.generator_optimizer, loss, learning_rate, networks.processes)
    return (fake, inputs.labels), loss.detach()


def _augmented(networks: Networks, samples: Tensor, numbers: Tensor | None, which: int) -> Tensor:
    """Return what the discriminator gets to see of real samples (which = 0) or of fakes (1)."""
    return samples if numbers is None else augment(samples.float(), networks.recipe.augment, numbers[:, which])


def _optimizer_step(
    net: nn.Module, optimizer: FusedAdam, loss: Tensor, learning_rate: Tensor, processes: Processes
) -> None:
    """Update a net's parameters, and no other's: their gradients, averaged over the ranks, are all that is computed."""
    parameters = trainable(net)
    gradients = torch.autograd.grad(loss, parameters, allow_unused=True, materialize_grads=True)
    optimizer.update(parameters, processes.all_reduce_mean(gradients), learning_rate)


def generate(generator: nn.Module, latents: Tensor, labels: Tensor | None) -> Tensor:
    """Return samples [batch, *shape]."""
    samples: Tensor = generator(latents) if labels is None else generator(latents, labels)
    return samples


def discriminate(discriminator: nn.Module, samples: Tensor, labels: Tensor | None) -> Tensor:
    """Return logits [batch], in float32 whatever the precision of the products."""
    logits: Tensor = discriminator(samples) if labels is None else discriminator(samples, labels)
    return logits.float()


@torch.no_grad()
def clip_weights(critic: nn.Module, bound: float) -> None:
    """Clip every parameter to [-bound, bound] (Arjovsky et al., arXiv:1701.07875, algorithm 1)."""
    parameters: list[Tensor] = list(critic.parameters())
    torch._foreach_clamp_min_(parameters, -bound)
    torch._foreach_clamp_max_(parameters, bound)


@torch.no_grad()
def update_ema(average: nn.Module, net: nn.Module, weight: Tensor) -> None:
    """Move the average towards the net by a weight []: parameters and running statistics; counters are copied."""
    for old, new in zip(average.state_dict().values(), net.state_dict().values(), strict=True):
        if old.is_floating_point():
            old.lerp_(new, weight.to(old.dtype))
        else:
            old.copy_(new)
