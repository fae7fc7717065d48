"""The recipe on words."""

from __future__ import annotations

from ganzoo.specs import Adam, LatentSpec, Optimizers, Recipe

_ADAM = Adam(learning_rate=2e-4, betas=(0.5, 0.999))

WORDS_DCGAN = Recipe(
    name="words-dcgan",
    summary="grey word images from a deep convolutional GAN, with no data to download",
    architecture="dcgan",
    config={"generator_widths": (512, 256, 128), "discriminator_widths": (64, 128, 256)},
    dataset="words",
    latent=LatentSpec(dim=100),
    loss="bce",
    optimizers=Optimizers(generator=_ADAM, discriminator=_ADAM),
    batch_size=64,
    steps=5_000,
    ema_decay=0.999,
    source="Radford et al. 2015, arXiv:1511.06434, with the layer sizes of cifar10-dcgan",
    notes=(
        "The nets, loss and optimizers of cifar10-dcgan; only the coarsest feature map differs, 4 × 16 for images of "
        "32 × 128. Every batch is freshly drawn, so no word image is seen twice. The EMA of the generator is ours; it "
        "changes only what is saved, not the training (--set ema_decay=null)."
    ),
)
