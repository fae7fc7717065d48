"""The recipes on words."""

from __future__ import annotations

from ganzoo.specs import Adam, LatentSpec, Optimizers, Recipe, Schedule

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

_SCRABBLE_GENERATOR = Adam(learning_rate=Schedule(kind="linear", start=4e-4, end=0.0), betas=(0.0, 0.99))
_SCRABBLE_DISCRIMINATOR = Adam(learning_rate=Schedule(kind="linear", start=1e-3, end=0.0), betas=(0.5, 0.99))

WORDS_SCRABBLEGAN = Recipe(
    name="words-scrabblegan",
    summary="the word that you ask for, in one of many styles",
    architecture="scrabblegan",
    config={},
    dataset="words",
    conditional=True,
    condition="text",
    latent=LatentSpec(dim=64),
    loss="hinge",
    regularizers={"read_real": 1.0, "read_fake": 1.0},
    optimizers=Optimizers(generator=_SCRABBLE_GENERATOR, discriminator=_SCRABBLE_DISCRIMINATOR),
    batch_size=32,
    steps=8_000,
    ema_decay=0.999,
    source="Fogel et al. 2020 (ScrabbleGAN), arXiv:2003.10557, with smaller nets and learned widths of letters",
    notes=(
        "As in the paper, letters are set side by side, a discriminator of patches judges how they look, and a "
        "recogniser, trained on real words only, whether they can be read. Letters have learned widths where the "
        "paper gives each the same; nets, optimizers, batches and the number of steps are ours, small enough for a "
        "CPU. The paper balances the two gradients that the generator gets by their standard deviations; here "
        "legibility weighs as much as looks. With a weight that falls from 1 to 0.1 instead, 36 % are read as words "
        "in place of 50 %."
    ),
)
