"""The recipe on MJSynth: cifar10-dcgan on word images."""

from __future__ import annotations

from ganzoo.specs import Adam, LatentSpec, Optimizers, Recipe

_ADAM = Adam(learning_rate=2e-4, betas=(0.5, 0.999))

MJSYNTH_DCGAN = Recipe(
    name="mjsynth-dcgan",
    summary="word images from a deep convolutional GAN",
    architecture="dcgan",
    config={"generator_widths": (512, 256, 128), "discriminator_widths": (64, 128, 256)},
    dataset="mjsynth",
    latent=LatentSpec(dim=100),
    loss="bce",
    optimizers=Optimizers(generator=_ADAM, discriminator=_ADAM),
    batch_size=64,
    steps=50_000,
    ema_decay=0.999,
    source="Radford et al. 2015, arXiv:1511.06434, with the layer sizes of published PyTorch tutorials",
    notes=(
        "The nets, loss and optimizers of cifar10-dcgan on word images of 32 × 128 pixels in one channel: the "
        "generator's first layer makes 4 × 16 instead of 4 × 4. The notes of cifar10-dcgan say what differs from the "
        "published code. The words themselves are not used. Use --set split=val if you have only the validation split."
    ),
)
