"""Checks of augmentations: random changes that follow from their numbers, and let gradients through."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import torch
from torch import Tensor

from ganzoo.guard import described
from ganzoo.specs import AugmentationSpec
from ganzoo.testing.checks import Check, CheckError, Example, blamed, expect
from ganzoo.testing.every_spec import EVERY_SPEC
from ganzoo.testing.losses import can_be_recorded

LARGEST = 10.0
"""Largest magnitude of an augmented value of images in [-1, 1]: strong changes of contrast stay far below."""
SHAPES = ((4, 1, 16, 24), (4, 3, 16, 16))
"""Grey and not square; RGB."""


def _inputs(spec: AugmentationSpec) -> Iterator[tuple[Tensor, Tensor]]:
    source = torch.Generator().manual_seed(0)
    for shape in SHAPES:
        yield torch.rand(*shape, generator=source) * 2 - 1, torch.rand(shape[0], spec.num_numbers, generator=source)


def _applied(spec: AugmentationSpec, images: Tensor, numbers: Tensor) -> Tensor:
    with blamed("apply"):
        found: object = spec.apply(images, numbers)
    if not isinstance(found, Tensor):
        raise CheckError(f"apply returned {type(found).__name__}, not a tensor.", "Return the images.")
    return found


def it_keeps_shape_and_range(example: Example) -> None:
    """Images of any sides, grey or RGB, keep their shape and dtype, and values of their size."""
    for images, numbers in _inputs(example.spec):
        found = _applied(example.spec, images, numbers)
        expect(
            described(found) == described(images),
            f"apply returned {described(found)} for {described(images)}.",
            "Return images of the same shape and dtype, whatever their sides and channels.",
        )
        expect(
            found.isfinite().all() and found.abs().amax() <= LARGEST,
            f"apply returned values up to {found.abs().amax():.4g} for images in [-1, 1].",
            "Images lie in [-1, 1], not in [0, 255]; look for a division by zero.",
        )


def it_follows_from_its_numbers(example: Example) -> None:
    """The same numbers give the same images, bit for bit; other numbers give others."""
    for images, numbers in _inputs(example.spec):
        first, second = (_applied(example.spec, images, numbers) for _ in range(2))
        expect(
            torch.equal(first, second),
            "apply returns other images for the same numbers.",
            "Use `numbers` for all randomness, and set num_numbers to how many you need.",
        )
    steps = torch.linspace(0, 0.99, 8).view(8, 1, 1).expand(8, len(images), example.spec.num_numbers)
    variants = [_applied(example.spec, images, numbers) for numbers in steps]
    expect(
        any(not torch.equal(variant, variants[0]) for variant in variants[1:]),
        "apply returns the same images for all numbers.",
        "Use `numbers`.",
    )


def each_image_has_its_own_numbers(example: Example) -> None:
    """An image is changed in the same way alone and in a batch of others."""
    for images, numbers in _inputs(example.spec):
        together = _applied(example.spec, images, numbers)
        for row in range(len(images)):
            alone = _applied(example.spec, images[row : row + 1], numbers[row : row + 1])
            expect(
                torch.allclose(alone[0], together[row], atol=1e-5),
                "an image is changed in another way when its batch holds other images.",
                "Use row i of `numbers` for image i, and no statistics over the batch.",
            )


def gradients_pass_through(example: Example) -> None:
    """A finite gradient reaches the images, so that the generator learns through it."""
    for images, numbers in _inputs(example.spec):
        given = images.requires_grad_()
        output = _applied(example.spec, given, numbers)
        gradient = torch.autograd.grad(output.sum(), given, allow_unused=True)[0] if output.requires_grad else None
        expect(
            gradient is not None and bool(gradient.isfinite().all()) and bool(gradient.abs().sum() > 0),
            "no finite gradient passes through it to the images.",
            "Compute the images with differentiable operations of torch, without detach().",
        )


def it_leaves_its_inputs_unchanged(example: Example) -> None:
    """It changes neither images nor numbers in place."""
    for given in _inputs(example.spec):
        before = [tensor.clone() for tensor in given]
        _applied(example.spec, *given)
        same = all(map(torch.equal, given, before))
        expect(same, "apply changes its inputs in place.", "Use operations without a trailing _.")


def it_can_be_recorded(example: Example) -> None:
    """It reads no values on the host, so that steps with it can be recorded."""
    for given in _inputs(example.spec):
        can_be_recorded("apply", partial(_applied, example.spec), *given)


AUGMENTATION_CHECKS: tuple[Check, ...] = (
    *EVERY_SPEC,
    it_keeps_shape_and_range,
    it_follows_from_its_numbers,
    each_image_has_its_own_numbers,
    gradients_pass_through,
    it_leaves_its_inputs_unchanged,
    it_can_be_recorded,
)
