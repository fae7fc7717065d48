"""One training step of a GAN, top to bottom: discriminator update, generator update, moving average.

Notation as in the papers: x are real samples, z latents, G the generator and D the discriminator, whose outputs are
logits. The formulas of the losses and regularizers are in the plugins that register them.

A step is a function of tensors that never looks at their values, for two reasons: reading a value makes the host wait
for the device, and a step without such decisions can be recorded once and replayed (`ganzoo/training/engines`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from ganzoo.sampling import generate
from ganzoo.specs import Discriminators, GeneratorRegularizerInputs, RegularizerInputs
from ganzoo.specs.optimizers import Optimizer
from ganzoo.system.nested import tensors_of, with_tensors
from ganzoo.system.torch_private import foreach_clamp_
from ganzoo.training.inputs import DiscriminatorInputs, GeneratorInputs, StepInputs
from ganzoo.training.networks import Networks
from ganzoo.training.optimizers import trainable
from ganzoo.training.schedules import Scheduled

Fakes = tuple[Tensor, Tensor | None]
"""G(z), samples [batch, *shape], and the labels [batch] or texts [batch, max_length] that they were generated for."""


def train_step(networks: Networks, inputs: StepInputs) -> None:
    """Update the generator once and the discriminator `discriminator_steps` times, in the recipe's order."""
    recipe, scheduled = networks.recipe, inputs.scheduled
    # Generated once, before the first update, and with gradients: the generator's update backpropagates through them,
    # the discriminator's detaches them. The DCGAN example of pytorch/examples does the same.
    shared_fakes = make_fakes(networks, inputs.generator) if recipe.share_fakes else None

    if recipe.update_order == "generator_first":
        loss_g = update_generator(networks, inputs.generator, scheduled, shared_fakes)
    # Of several updates, the record keeps the last one's loss and scores.
    for discriminator_inputs in inputs.discriminator:
        loss_d, scores = update_discriminator(networks, discriminator_inputs, scheduled, shared_fakes)
    if recipe.update_order == "discriminator_first":
        loss_g = update_generator(networks, inputs.generator, scheduled, shared_fakes)

    if networks.generator_ema is not None:
        update_ema(networks.generator_ema, networks.generator, scheduled.ema_weight)
    if networks.augmentation.adaptive is not None:
        networks.augmentation.adapt(scheduled.others["augment_change"])
    # Summed on the device; the host reads the sums when a record is due.
    networks.sums.add_(torch.cat([torch.stack([loss_d, loss_g]), scores]))


def update_discriminator(
    networks: Networks, inputs: DiscriminatorInputs, scheduled: Scheduled, shared_fakes: Fakes | None
) -> tuple[Tensor, Tensor]:
    """Raise the logits of real samples and lower those of fakes. Returns loss_d and the scores [4] before the update.

    Without shared fakes, it generates its own, for the labels of the real samples.
    """
    recipe, discriminator = networks.recipe, networks.discriminator
    results = []
    for part in split(inputs, recipe.accumulate):
        loss_d, scores = discriminator_loss(networks, part, scheduled, shared_fakes)
        results.append([loss_d.detach(), scores, *gradient(loss_d, discriminator)])
    # Over the parts of this process's rows, and over the processes: all in one exchange.
    loss_d, scores, *gradients = networks.processes.all_reduce_mean(mean(results))

    settings = recipe.optimizers.discriminator
    update_parameters(discriminator, gradients, networks.discriminator_optimizer, settings, scheduled.discriminator)
    if recipe.weight_clip is not None:
        clip_weights(trainable(discriminator), recipe.weight_clip)
    if networks.augmentation.adaptive is not None:
        networks.augmentation.observe(scores[2])  # the mean sign of real logits
    return loss_d, scores


def discriminator_loss(
    networks: Networks, inputs: DiscriminatorInputs, scheduled: Scheduled, shared_fakes: Fakes | None
) -> tuple[Tensor, Tensor]:
    """Return loss_d with its regularizers, and the scores [4]."""
    recipe, discriminator = networks.recipe, networks.discriminator
    real, real_labels = inputs.real.samples, inputs.real.labels if recipe.conditional else None
    if shared_fakes is None:
        assert inputs.latents is not None
        with torch.no_grad(), networks.autocast():
            fake = generate(networks.generator, inputs.latents, real_labels, inputs.noise)
        fake_labels = real_labels
    else:
        fake, fake_labels = shared_fakes
    fake = fake.detach().float()  # this update must not reach the generator
    real = augmented(networks, real, inputs.augment, 0, scheduled)
    fake = augmented(networks, fake, inputs.augment, 1, scheduled)

    with networks.autocast():
        if networks.concat_real_fake:
            labels = None if real_labels is None or fake_labels is None else torch.cat([real_labels, fake_labels])
            real_logits, fake_logits = discriminate(discriminator, torch.cat([real, fake]), labels).split(len(real))
        else:
            real_logits = discriminate(discriminator, real, real_labels)
            fake_logits = discriminate(discriminator, fake, fake_labels)

    # For `bce`: -log s(D(x)) - log(1 - s(D(G(z)))), where label smoothing lowers the target of real samples below 1.
    smoothing = scheduled.number("label_smoothing", recipe.label_smoothing)
    loss_d = networks.loss.discriminator(real_logits, fake_logits, smoothing)
    if recipe.discriminator_loss == "mean":
        loss_d = loss_d / 2
    # R1 and R2 with weight gamma, the gradient penalty of WGAN-GP with weight lambda and interpolation coefficient
    # epsilon. Outside of autocast: these differentiate the gradient itself, for which bfloat16 is too coarse.
    # Taken where the discriminator looks: at the augmented samples.
    discriminators = Discriminators(
        real=lambda samples: discriminate(discriminator, samples, real_labels),
        fake=lambda samples: discriminate(discriminator, samples, fake_labels),
    )
    for regularizer in networks.regularizers_of("discriminator", scheduled.regularizers):
        assert inputs.epsilon is not None
        given = RegularizerInputs(
            discriminators=discriminators,
            discriminator=discriminator,
            real=real,
            fake=fake,
            real_labels=real_labels,
            fake_labels=fake_labels,
            epsilon=inputs.epsilon,
            state=regularizer.state,
        )
        loss_d = loss_d + regularizer.weight_in(scheduled) * regularizer.compute(given)
    return loss_d, score(real_logits.detach(), fake_logits.detach())


def update_generator(
    networks: Networks, inputs: GeneratorInputs, scheduled: Scheduled, shared_fakes: Fakes | None
) -> Tensor:
    """Raise the logits of fakes: make the discriminator take them for real. Returns loss_g before the update."""
    results = []
    for part in split(inputs, networks.recipe.accumulate):
        loss_g = generator_loss(networks, part, scheduled, shared_fakes)
        results.append([loss_g.detach(), *gradient(loss_g, networks.generator)])
    loss_g, *gradients = networks.processes.all_reduce_mean(mean(results))
    settings = networks.recipe.optimizers.generator
    update_parameters(networks.generator, gradients, networks.generator_optimizer, settings, scheduled.generator)
    return loss_g


def generator_loss(
    networks: Networks, inputs: GeneratorInputs, scheduled: Scheduled, shared_fakes: Fakes | None
) -> Tensor:
    """Return loss_g with its regularizers."""
    fake, fake_labels = make_fakes(networks, inputs) if shared_fakes is None else shared_fakes
    fake = augmented(networks, fake, inputs.augment, 1, scheduled)
    with networks.autocast():
        fake_logits = discriminate(networks.discriminator, fake, fake_labels)
    real_logits = None
    if inputs.real is not None:  # relativistic losses compare the two; real logits do not depend on the generator
        real = augmented(networks, inputs.real.samples, inputs.augment, 0, scheduled)
        with torch.no_grad(), networks.autocast():
            real_logits = discriminate(networks.discriminator, real, fake_labels)

    # For `bce`, the non-saturating -log s(D(G(z))).
    loss_g = networks.loss.generator(fake_logits, real_logits)
    for regularizer in networks.regularizers_of("generator", scheduled.regularizers):
        assert inputs.directions is not None
        given = GeneratorRegularizerInputs(
            generate=lambda latents: generate(networks.generator, latents, inputs.labels, inputs.noise),
            latents=inputs.latents,
            fake=fake.float(),
            labels=fake_labels,
            discriminator=networks.discriminator,
            directions=inputs.directions,
            state=regularizer.state,
        )
        loss_g = loss_g + regularizer.weight_in(scheduled) * regularizer.compute(given)
    return loss_g


@torch.no_grad()
def update_ema(generator_ema: nn.Module, generator: nn.Module, weight: Tensor) -> None:
    """Move the average towards the generator by a weight [], 1 - decay: parameters and running statistics.

    Integers, such as the number of batches that a batch normalization has seen, are copied.
    """
    # The average is a deep copy of the generator: the same names in the same order.
    for average, new in zip(generator_ema.state_dict().values(), generator.state_dict().values(), strict=True):
        if average.is_floating_point():
            average.lerp_(new, weight.to(average.dtype))
        else:
            average.copy_(new)


# --- parts of the updates ---


def make_fakes(networks: Networks, inputs: GeneratorInputs) -> Fakes:
    """Return G(z), through which gradients reach the generator."""
    with networks.autocast():
        return generate(networks.generator, inputs.latents, inputs.labels, inputs.noise), inputs.labels


def discriminate(discriminator: nn.Module, samples: Tensor, labels: Tensor | None) -> Tensor:
    """Return logits [batch], in float32 whatever the compute dtype: losses are float32 always."""
    logits: Tensor = discriminator(samples) if labels is None else discriminator(samples, labels)
    return logits.float()


def augmented(networks: Networks, samples: Tensor, numbers: Tensor | None, index: int, scheduled: Scheduled) -> Tensor:
    """Return what the discriminator sees of real samples (index 0) or fakes (index 1)."""
    if numbers is None:
        return samples
    probability = networks.augmentation.probability_in(scheduled)
    result: Tensor = networks.augmentation(samples.float(), numbers[:, index], probability)
    return result


Inputs = TypeVar("Inputs", DiscriminatorInputs, GeneratorInputs)


def split(inputs: Inputs, parts: int) -> Sequence[Inputs]:
    """Split the rows of all tensors into parts of one size."""
    if parts == 1:
        return [inputs]
    pieces = [tensor.chunk(parts) for tensor in tensors_of(inputs)]
    return [with_tensors(inputs, part) for part in zip(*pieces, strict=True)]


def gradient(loss: Tensor, net: nn.Module) -> Sequence[Tensor]:
    """Return the gradient of a loss by the parameters of one net, a tensor for each.

    `autograd.grad` and not `backward`: the other net's parameters get no gradients, and nothing has to be zeroed.
    """
    # A parameter that the loss does not reach gets a gradient of zeros, so that the moments and the exchange between
    # ranks always cover the same tensors.
    return torch.autograd.grad(loss, trainable(net), allow_unused=True, materialize_grads=True)


def mean(parts: Sequence[list[Tensor]]) -> list[Tensor]:
    """Return the mean over the parts of each of their tensors."""
    if len(parts) == 1:
        return parts[0]
    return [torch.stack(tensors).mean(0) for tensors in zip(*parts, strict=True)]


def update_parameters(
    net: nn.Module, gradients: list[Tensor], optimizer: Any, settings: Optimizer, numbers: dict[str, Tensor]
) -> None:
    """Update the parameters of one net by a gradient, clipped where the optimizer's settings say so."""
    if settings.clip_norm is not None:
        gradients = clip_norm(gradients, settings.clip_norm)
    optimizer.update(trainable(net), gradients, numbers)


def clip_norm(gradients: list[Tensor], largest: float) -> list[Tensor]:
    """Scale a gradient down to a norm, taken over all parameters, if it is longer (Pascanu et al., arXiv:1211.5063)."""
    norm = torch.linalg.vector_norm(torch.stack([torch.linalg.vector_norm(part) for part in gradients]))
    # As torch's clip_grad_norm_: 1e-6 keeps a gradient of zeros from becoming NaN.
    factor = (largest / (norm + 1e-6)).clamp(max=1)
    return [part * factor for part in gradients]


@torch.no_grad()
def clip_weights(parameters: list[Tensor], bound: float) -> None:
    """Clip parameters to [-bound, bound] (WGAN: Arjovsky et al., arXiv:1701.07875, algorithm 1)."""
    # All of them, as in the published code: scales and shifts of batch normalization too.
    foreach_clamp_(parameters, -bound, bound)


def score(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """Return [4]: mean s(logit) of real samples and of fakes, mean sign of their logits."""
    logits = torch.stack([real_logits, fake_logits])  # one tensor: for small operations, only their number counts
    return torch.cat([logits.sigmoid(), logits.sign()]).mean(1)
