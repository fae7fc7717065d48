"""Words on request: a generator that sets letter beside letter, and a recogniser that reads what it wrote."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from annotated_types import Interval, Len

from ganzoo.deferred import deferred
from ganzoo.specs import ArchitectureSpec, RegularizerSpec

Width = Annotated[int, Interval(ge=1, le=4096)]


@dataclass(frozen=True, kw_only=True)
class ScrabbleGANConfig:
    """The generator and the two halves of the discriminator, layer by layer."""

    character_dim: Width = 64
    """Dimension of a character's embedding."""
    style_dim: Width = 96
    """Dimension of a word's style: letter size, place, typeface, shades."""
    generator_widths: Annotated[tuple[Width, ...], Len(2, 8)] = (96, 48, 32)
    """Channels of the coarsest feature map, then after each doubling. The last doubling is to the image itself; the
    last two double height and width, those before only the height."""
    discriminator_widths: Annotated[tuple[Width, ...], Len(1, 8)] = (24, 48, 96)
    """Channels of the patch discriminator after each halving of height and width."""
    recogniser_widths: Annotated[tuple[Width, ...], Len(2, 8)] = (16, 32, 48, 64)
    """Channels of the recogniser after each halving of the height; the first two halve the width too."""
    reading_width: Width = 128
    """Channels between the recogniser's feature map and the characters that it reads."""


SCRABBLEGAN = ArchitectureSpec(
    name="scrabblegan",
    summary="word images from texts: letters side by side, a patch discriminator, and a recogniser that reads them",
    paper=(
        "Fogel et al. 2020 (ScrabbleGAN), arXiv:2003.10557, with smaller nets, and letters whose widths are "
        "learned instead of equal; styles as in Chen et al. 2019, arXiv:1810.01365"
    ),
    license="MIT",
    config=ScrabbleGANConfig,
    build_generator=deferred("ganzoo_scrabblegan.networks:Generator"),
    build_discriminator=deferred("ganzoo_scrabblegan.networks:Discriminator"),
    conditions=("text",),
    unconditional=False,
    batch_independent=True,
)

_CTC = "Graves et al. 2006, section 4, as in Fogel et al. 2020, arXiv:2003.10557, section 3"

READ_REAL = RegularizerSpec(
    name="read_real",
    summary="-log p(text | x) / length: the recogniser in D learns to read real words",
    paper=_CTC,
    compute=deferred("ganzoo_scrabblegan.reading:read_real"),
    architectures=("scrabblegan",),
)

READ_FAKE = RegularizerSpec(
    name="read_fake",
    summary="-log p(text | G(z, text)) / length: the recogniser in D can read what was asked for",
    paper=_CTC,
    of="generator",
    compute=deferred("ganzoo_scrabblegan.reading:read_fake"),
    architectures=("scrabblegan",),
)
