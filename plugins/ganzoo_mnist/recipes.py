"""Recipes on MNIST: published perceptrons, one of them class-conditional, and two small convolutional GANs."""

from __future__ import annotations

import dataclasses

from ganzoo.specs import Adam, LatentSpec, Optimizers, Recipe, Schedule

_MLP_ADAM = Adam(learning_rate=Schedule(kind="linear", start=4e-4, end=0.0), betas=(0.5, 0.99))
_PUBLISHED_MLP_ADAM = Adam(learning_rate=2e-4, betas=(0.5, 0.999))

MNIST_MLP = Recipe(
    name="mnist-mlp",
    summary="handwritten digits from a batch-normalised perceptron",
    architecture="mlp",
    config={
        "generator_hidden": (128, 256, 512, 1024),
        "discriminator_hidden": (512, 256),
        "batch_norm": True,
        "batch_norm_eps": 1e-5,
    },
    dataset="mnist",
    latent=LatentSpec(dim=100),
    loss="bce",
    discriminator_loss="mean",
    regularizers={"r1": 0.2},
    optimizers=Optimizers(generator=_MLP_ADAM, discriminator=_MLP_ADAM),
    batch_size=64,
    steps=60_000,
    update_order="generator_first",
    share_fakes=True,
    ema_decay=0.999,
    source=(
        "the fully connected GAN of published PyTorch collections; loss of Goodfellow et al. 2014, arXiv:1406.2661; "
        "R1 of Mescheder et al. 2018, arXiv:1801.04406"
    ),
    notes=(
        "Layer sizes, loss and order of updates are the published ones, as in mnist-mlp-published. What differs: eps "
        "1e-5 in batch normalisation, where 0.8 was published. Trained here with everything else equal (100,000 steps, "
        "seed 0), 0.8 collapses onto a few noisy shapes and 1e-5 draws all ten digits, though 17 % are ones and "
        "fd-lenet is 5.9. Then R1 on the discriminator, a learning rate that falls from 4e-4 to zero in place of 2e-4, "
        "betas of 0.5 and 0.99 in place of 0.999, and 60,000 steps: fd-lenet 2.7, and each class has between 8 and "
        "12 %. The EMA of the generator is ours, and an epoch leaves out its incomplete last batch, 32 of 60,000 "
        "digits (--set drop_last=false)."
    ),
)

MNIST_MLP_PUBLISHED = dataclasses.replace(
    MNIST_MLP,
    name="mnist-mlp-published",
    summary="mnist-mlp with the published nets and updates: batch normalisation with eps 0.8, no EMA",
    config={**MNIST_MLP.config, "batch_norm_eps": 0.8},
    regularizers={},
    optimizers=Optimizers(generator=_PUBLISHED_MLP_ADAM, discriminator=_PUBLISHED_MLP_ADAM),
    steps=100_000,
    ema_decay=None,
    source="the fully connected GAN of published PyTorch collections; loss of Goodfellow et al. 2014, arXiv:1406.2661",
    notes=(
        "The published nets and updates; training collapses onto a few shapes. Two things differ: an epoch leaves out "
        "its incomplete last batch, 32 of 60,000 digits (--set drop_last=false), and the number of steps is ours. See "
        "also the notes of mnist-mlp."
    ),
)

MNIST_MLP_DROPOUT_PUBLISHED = Recipe(
    name="mnist-mlp-dropout-published",
    summary="mnist-mlp-dropout with the published updates",
    architecture="mlp",
    config={
        "generator_hidden": (256, 512, 1024),
        "discriminator_hidden": (1024, 512, 256),
        "discriminator_dropout": 0.3,
    },
    dataset="mnist",
    latent=LatentSpec(dim=100),
    loss="bce",
    optimizers=Optimizers(generator=Adam(learning_rate=2e-4), discriminator=Adam(learning_rate=2e-4)),
    batch_size=32,
    steps=46_875,  # 25 epochs of 1,875 batches
    ema_decay=0.999,
    source="the dropout GAN of published PyTorch tutorials; loss of Goodfellow et al. 2014, arXiv:1406.2661",
    notes=(
        "Nets, loss, optimizers, batches and the order of updates as published: the discriminator first, on fakes of "
        "its own, its two halves added. Trained for 25 epochs where 10 were published (--set steps=18750). The "
        "published code left dropout on when it evaluated; here it is active only in training, which changes no "
        "update. The published code has no EMA of the generator, which changes only what is saved, not the training "
        "(--set ema_decay=null)."
    ),
)

MNIST_MLP_DROPOUT = dataclasses.replace(
    MNIST_MLP_DROPOUT_PUBLISHED,
    name="mnist-mlp-dropout",
    summary="handwritten digits from a plain perceptron against a discriminator with dropout",
    regularizers={"r1": 0.2},
    optimizers=Optimizers(generator=_MLP_ADAM, discriminator=_MLP_ADAM),
    source=(
        "the dropout GAN of published PyTorch tutorials; loss of Goodfellow et al. 2014, arXiv:1406.2661; "
        "R1 of Mescheder et al. 2018, arXiv:1801.04406"
    ),
    notes=(
        "Nets, loss, batches and the order of updates are the published ones, as in mnist-mlp-dropout-published, whose "
        "fd-lenet is 14.0 after as many steps. What differs is that of mnist-mlp: R1 on the discriminator, a learning "
        "rate that falls from 4e-4 to zero in place of 2e-4, and betas of 0.5 and 0.99 in place of 0.9 and 0.999: "
        "fd-lenet 7.0. The falling learning rate alone, from 2e-4, makes it worse (17.1)."
    ),
)

MNIST_MLP_SMALL_PUBLISHED = Recipe(
    name="mnist-mlp-small-published",
    summary="mnist-mlp-small with the published updates",
    architecture="mlp",
    config={
        "generator_hidden": (32, 64, 128),
        "generator_dropout": 0.2,
        "discriminator_hidden": (128, 64, 32),
        "discriminator_dropout": 0.2,
    },
    dataset="mnist",
    latent=LatentSpec(dim=100, distribution="uniform"),
    loss="bce",
    label_smoothing=0.1,
    optimizers=Optimizers(generator=Adam(learning_rate=2e-3), discriminator=Adam(learning_rate=2e-3)),
    batch_size=64,
    steps=93_700,  # 100 epochs of 937 batches
    ema_decay=0.999,
    source="the small GAN of published PyTorch courses; one-sided smoothing of Salimans et al., arXiv:1606.03498",
    notes=(
        "Nets, loss, optimizers and batches as published: raw logits, real targets of 0.9 for the discriminator only, "
        "uniform latents, 100 epochs. An epoch here leaves out its incomplete last batch, 32 of 60,000 digits, which "
        "the published code trains on (--set drop_last=false). The published code has no EMA of the generator, which "
        "changes only what is saved, not the training (--set ema_decay=null)."
    ),
)

_SMALL_ADAM = Adam(learning_rate=Schedule(kind="linear", start=2e-3, end=0.0), betas=(0.5, 0.99))

MNIST_MLP_SMALL = dataclasses.replace(
    MNIST_MLP_SMALL_PUBLISHED,
    name="mnist-mlp-small",
    summary="handwritten digits from a tenth of the parameters, with dropout in both nets and smoothed labels",
    regularizers={"r1": 0.2},
    optimizers=Optimizers(generator=_SMALL_ADAM, discriminator=_SMALL_ADAM),
    source=(
        "the small GAN of published PyTorch courses; one-sided smoothing of Salimans et al. 2016, arXiv:1606.03498; "
        "R1 of Mescheder et al. 2018, arXiv:1801.04406"
    ),
    notes=(
        "Nets, loss, batches and the number of steps are the published ones, as in mnist-mlp-small-published, whose "
        "fd-lenet is 23.8. What differs is that of mnist-mlp: R1 on the discriminator, a learning rate that falls from "
        "2e-3 to zero in place of 2e-3, and betas of 0.5 and 0.99 in place of 0.9 and 0.999: fd-lenet 8.0."
    ),
)

MNIST_CGAN = dataclasses.replace(
    MNIST_MLP_DROPOUT_PUBLISHED,
    name="mnist-cgan",
    summary="handwritten digits on request: the nets of mnist-mlp-dropout, given the label",
    conditional=True,
    source="Mirza and Osindero 2014, arXiv:1411.1784, on the nets of mnist-mlp-dropout",
    notes=(
        "An embedding of the label is joined to the input of both nets. The nets and updates are those of "
        "mnist-mlp-dropout-published, not the paper's (maxout layers, momentum, a decaying learning rate). In the "
        "discriminator's update fakes get the labels of the real batch, in the generator's update uniform ones."
    ),
)

_DCGAN_ADAM = Adam(learning_rate=5e-4, betas=(0.5, 0.99))

MNIST_DCGAN = Recipe(
    name="mnist-dcgan",
    summary="handwritten digits from a small convolutional GAN",
    architecture="dcgan",
    config={
        "generator_hidden": (128,),
        "generator_widths": (64, 32),
        "discriminator_widths": (32, 64),
        "discriminator_hidden": (128,),
        "discriminator_norm": "none",
        "weight_std": None,
    },
    dataset="mnist",
    latent=LatentSpec(dim=64),
    loss="bce",
    regularizers={"r1": 1.0},
    optimizers=Optimizers(generator=_DCGAN_ADAM, discriminator=_DCGAN_ADAM),
    batch_size=64,
    steps=20_000,
    ema_decay=0.999,
    source=(
        "Radford et al. 2015, arXiv:1511.06434, for 28 × 28 pixels, with the fully connected layers of the MNIST nets "
        "of Chen et al. 2016, arXiv:1606.03657; R1 of Mescheder et al. 2018, arXiv:1801.04406"
    ),
    notes=(
        "A recipe of our own, small enough for a CPU. 28 pixels can be halved only twice, so each net has a fully "
        "connected layer where larger images have further convolutions. Trials of 2,000 steps without that layer in "
        "the discriminator made the same image of every latent; with it, most classes are recognisable after 3,000."
    ),
)

MNIST_CDCGAN = dataclasses.replace(
    MNIST_DCGAN,
    name="mnist-cdcgan",
    summary="handwritten digits on request: the nets of mnist-dcgan, given the label",
    conditional=True,
    source="Miyato and Koyama 2018, arXiv:1802.05637, on the nets of mnist-dcgan",
    notes=(
        "The label chooses the scale and shift of the generator's normalisations, and a readout of the "
        "discriminator's own that is added to the common one. The fakes that the discriminator sees have the labels "
        "of the real batch, those of the generator's update have uniform ones. See also the notes of mnist-dcgan."
    ),
)
