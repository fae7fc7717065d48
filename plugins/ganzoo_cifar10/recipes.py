"""Recipes on CIFAR-10: the DCGAN under three losses, and two residual GANs."""

from __future__ import annotations

import dataclasses

from ganzoo.specs import Adam, LatentSpec, Optimizers, Recipe, RMSprop, Schedule

_ADAM = Adam(learning_rate=2e-4, betas=(0.5, 0.999))

CIFAR10_DCGAN = Recipe(
    name="cifar10-dcgan",
    summary="small colour photographs from a deep convolutional GAN",
    architecture="dcgan",
    config={"generator_widths": (512, 256, 128), "discriminator_widths": (64, 128, 256)},
    dataset="cifar10",
    latent=LatentSpec(dim=100),
    loss="bce",
    optimizers=Optimizers(generator=_ADAM, discriminator=_ADAM),
    batch_size=64,
    steps=18_000,
    ema_decay=0.999,
    source="Radford et al. 2015, arXiv:1511.06434, with the layer sizes of published PyTorch tutorials",
    notes=(
        "Two mistakes of the published code are fixed. Its generator ended in a sigmoid although the data lies in "
        "[-1, 1], so no pixel could be darker than middle grey; here it ends in tanh (--set config.output=sigmoid "
        "restores the sigmoid). Its discriminator ended in a sigmoid and its loss applied another one; here the loss "
        "takes logits (--set config.discriminator_output=sigmoid). Other differences: the discriminator's convolutions "
        "before batch normalisation have no bias, which would have no effect there (384 numbers; --set "
        "config.discriminator_bias=true); each update draws fresh fakes, where the published code reused the "
        "discriminator's for the generator (--set share_fakes=true); initial weights are normal with standard "
        "deviation 0.02, as in the paper's section 4 (--set config.weight_std=null for PyTorch's). The optimizers' "
        "settings follow the paper; batches of 64 and the number of steps are ours. The published code has no EMA of "
        "the generator, which changes only what is saved, not the training (--set ema_decay=null)."
    ),
)

CIFAR10_WGAN = dataclasses.replace(
    CIFAR10_DCGAN,
    name="cifar10-wgan",
    summary="the nets of cifar10-dcgan under the Wasserstein loss with clipped weights",
    loss="wasserstein",
    discriminator_steps=5,
    weight_clip=0.01,
    optimizers=Optimizers(generator=RMSprop(learning_rate=5e-5), discriminator=RMSprop(learning_rate=5e-5)),
    source="Arjovsky et al. 2017, arXiv:1701.07875, algorithm 1, on the nets of cifar10-dcgan",
    notes=(
        "RMSprop with a learning rate of 5e-5, and weights clipped to 0.01 after each of 5 discriminator updates, as "
        "in the paper. The published code that it follows otherwise used Adam with the settings of cifar10-dcgan. See "
        "also the notes there."
    ),
)

CIFAR10_WGAN_GP = dataclasses.replace(
    CIFAR10_DCGAN,
    name="cifar10-wgan-gp",
    summary="the nets of cifar10-dcgan under the Wasserstein loss with gradient penalty",
    config={**CIFAR10_DCGAN.config, "discriminator_norm": "none"},
    loss="wasserstein",
    regularizers={"gradient_penalty": 10.0},
    discriminator_steps=5,
    optimizers=Optimizers(
        generator=Adam(learning_rate=1e-4, betas=(0.0, 0.9)),
        discriminator=Adam(learning_rate=1e-4, betas=(0.0, 0.9)),
    ),
    source="Gulrajani et al. 2017, arXiv:1704.00028, algorithm 1, on the nets of cifar10-dcgan",
    notes=(
        "Penalty weight 10, 5 discriminator updates and Adam(1e-4, 0, 0.9), as in the paper. As there, the "
        "discriminator has no batch normalisation, because the penalty is defined for each sample alone. See also the "
        "notes of cifar10-dcgan."
    ),
)

_SNGAN_ADAM = Adam(learning_rate=Schedule(kind="linear", start=2e-4, end=0.0), betas=(0.0, 0.9))

CIFAR10_SNGAN = Recipe(
    name="cifar10-sngan",
    summary="small colour photographs from residual nets with spectral normalisation",
    architecture="resnet",
    config={
        "generator_widths": (256, 256, 256, 256),
        "discriminator_widths": (128, 128, 128, 128),
        "discriminator_halvings": 2,
    },
    dataset="cifar10",
    latent=LatentSpec(dim=128),
    loss="hinge",
    discriminator_steps=5,
    optimizers=Optimizers(generator=_SNGAN_ADAM, discriminator=_SNGAN_ADAM),
    batch_size=64,
    steps=100_000,
    ema_decay=0.999,
    source="Miyato et al. 2018, arXiv:1802.05957, with the settings of torch-mimicry",
    notes=(
        "The nets (4.28 M and 1.05 M parameters) and settings are those of torch-mimicry without labels, which reports "
        "an FID of 16.77 after 100,000 steps. Real and fake images go through the discriminator in one pass, so one "
        "step of power iteration serves both. Convolutions next to a change of resolution are computed at the lower "
        "one, with the same result. The EMA of the generator is ours; it changes only what is saved, not the training "
        "(--set ema_decay=null)."
    ),
)

_R3GAN_ADAM = Adam(learning_rate=2e-4, betas=(0.0, 0.99))

CIFAR10_R3GAN = Recipe(
    name="cifar10-r3gan",
    summary="small colour photographs from residual nets without normalisation, under a regularised relativistic loss",
    architecture="r3gan",
    config={"widths": (512, 512, 256, 128), "cardinalities": (64, 64, 32, 16), "blocks_per_stage": 2},
    dataset="cifar10",
    latent=LatentSpec(dim=64),
    loss="relativistic",
    regularizers={"r1": 0.05, "r2": 0.05},
    optimizers=Optimizers(generator=_R3GAN_ADAM, discriminator=_R3GAN_ADAM),
    batch_size=128,
    steps=100_000,
    ema_decay=0.999,
    source="Huang et al. 2025, arXiv:2501.05441",
    notes=(
        "A small model of the paper's kind: 5.88 M parameters in the generator and 5.84 M in the discriminator, with "
        "fewer channels at higher resolutions, which cost the most. The weight of r1 and r2 is the paper's gamma "
        "(both penalties are defined with a factor of one half); it stays at 0.05. The paper's schedules (gamma, "
        "learning rate, Adam's second beta, half-life of the EMA) and its augmentation are not used, so do not expect "
        "its FID. The generator's output is unbounded while training, as published; saved models clip their images to "
        "[-1, 1]. A constant EMA decay is ours; it changes only what is saved, not the training (--set "
        "ema_decay=null)."
    ),
)
