"""The arithmetic of one training step, over plain modules."""

from __future__ import annotations

import contextlib

import torch
from torch import Tensor, nn

from ganzoo.losses import REGULARIZERS, Critics
from ganzoo.randomness import draw_latents
from ganzoo.training.state import TrainingState


def train_step(state: TrainingState) -> None:
    """Update both nets once (the discriminator `discriminator_steps` times), in the recipe's order."""
    recipe = state.settings.recipe
    fakes = None
    if recipe.update_order == "generator_first":
        fakes, loss_g = update_generator(state)
    for _ in range(recipe.discriminator_steps):
        loss_d, scores = update_discriminator(state, fakes if recipe.share_fakes else None)
    if recipe.update_order == "discriminator_first":
        _, loss_g = update_generator(state)
    if state.average is not None and recipe.ema_decay is not None:
        update_average(state.average, state.generator, _warmed_up(recipe.ema_decay, state.step))

    # Summed on the device: reading a number would make the host wait for it.
    state.sums += torch.cat([torch.stack([loss_d, loss_g]), scores])
    state.summed_steps += 1
    state.step += 1


Fakes = tuple[Tensor, Tensor | None]
"""Generated samples [batch, *shape], and the labels int64 [batch] that they were asked for."""


def update_discriminator(state: TrainingState, fakes: Fakes | None) -> tuple[Tensor, Tensor]:
    """Real up, fake down. Returns the loss and the scores [4], both from before the update."""
    recipe, discriminator = state.settings.recipe, state.discriminator
    batch = state.batches.next()
    real, real_labels = batch.samples, batch.labels if recipe.conditional else None
    with torch.no_grad(), _precision(state):
        fake, fake_labels = generate(state, real_labels) if fakes is None else fakes
    fake = fake.detach().float()

    with _precision(state):
        if state.joint_pass:
            labels = None if real_labels is None or fake_labels is None else torch.cat([real_labels, fake_labels])
            real_logits, fake_logits = judge(discriminator, torch.cat([real, fake]), labels).split(len(real))
        else:
            real_logits = judge(discriminator, real, real_labels)
            fake_logits = judge(discriminator, fake, fake_labels)
    loss = state.loss.discriminator(real_logits, fake_logits, recipe.label_smoothing)
    if recipe.discriminator_loss == "mean":
        loss = loss / 2
    critics = Critics(
        real=lambda samples: judge(discriminator, samples, real_labels),
        fake=lambda samples: judge(discriminator, samples, fake_labels),
    )
    for name, weight in recipe.regularizers.items():
        # In full precision: these differentiate the gradient itself.
        loss = loss + weight * REGULARIZERS[name](critics, real, fake, state.latent_source)

    state.discriminator_optimizer.zero_grad(set_to_none=True)
    loss.backward()
    state.discriminator_optimizer.step()
    if recipe.weight_clip is not None:
        clip_weights(discriminator, recipe.weight_clip)
    return loss.detach(), score(real_logits.detach(), fake_logits.detach())


def score(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """Return [4]: mean s(logit) of real and of fake samples, mean sign of their logits."""
    logits = torch.stack([real_logits, fake_logits])  # as one tensor, for each operation costs the same however small
    return torch.cat([logits.sigmoid(), logits.sign()]).mean(1)


def update_generator(state: TrainingState) -> tuple[Fakes, Tensor]:
    """Make the discriminator mistake fakes for real. Returns the fakes, made before the update, and the loss."""
    recipe = state.settings.recipe
    real = state.batches.next() if state.loss.paired else None
    real_labels = real.labels if real is not None and recipe.conditional else None
    with _precision(state):
        fake, labels = generate(state, real_labels)
        fake_logits = judge(state.discriminator, fake, labels)
    real_logits = None
    if real is not None:
        with torch.no_grad(), _precision(state):
            real_logits = judge(state.discriminator, real.samples, real_labels)
    loss = state.loss.generator(fake_logits, real_logits)

    state.generator_optimizer.zero_grad(set_to_none=True)
    # The discriminator's weights need no gradient here: naming the inputs spares a third of its backward pass.
    loss.backward(inputs=list(state.generator.parameters()))
    state.generator_optimizer.step()
    return (fake, labels), loss.detach()


def generate(state: TrainingState, labels: Tensor | None = None) -> Fakes:
    """Generate one batch from fresh latents; a conditional model without given labels draws uniform ones."""
    recipe, classes = state.settings.recipe, state.config.sample.classes
    latents = draw_latents(recipe.latent, recipe.batch_size, state.latent_source)
    if classes is None:
        return state.generator(latents), None
    if labels is None:
        shape = (recipe.batch_size,)
        labels = torch.randint(len(classes), shape, generator=state.latent_source, device=state.device)
    return state.generator(latents, labels), labels


def judge(discriminator: nn.Module, samples: Tensor, labels: Tensor | None) -> Tensor:
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
def update_average(average: nn.Module, net: nn.Module, decay: float) -> None:
    """Move the average towards the net by 1 - decay: parameters and running statistics; counters are copied."""
    pairs = list(zip(average.state_dict().values(), net.state_dict().values(), strict=True))
    moving = [(old, new) for old, new in pairs if old.is_floating_point()]
    torch._foreach_lerp_([old for old, _ in moving], [new for _, new in moving], 1 - decay)
    for old, new in pairs:
        if not old.is_floating_point():
            old.copy_(new)


def _warmed_up(decay: float, step: int) -> float:
    """Let the average forget the first, useless weights quickly: at most (1 + n) / (10 + n) after n steps."""
    return min(decay, (1 + step) / (10 + step))


def _precision(state: TrainingState) -> contextlib.AbstractContextManager[object]:
    if state.settings.precision == "fp32":
        return contextlib.nullcontext()
    return torch.autocast(state.device.type, dtype=torch.bfloat16)
