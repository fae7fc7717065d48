"""Augmentations: what they do to an image, and that gradients go through them."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from ganzoo.registry import augmentations

NUMBERS = 3


def apply(name: str, images: Tensor, *numbers: float) -> Tensor:
    given = torch.tensor([[*numbers, *[0.0] * (NUMBERS - len(numbers))]]).expand(len(images), -1)
    return augmentations.get(name).apply(images, given)


@pytest.fixture
def image() -> Tensor:
    return torch.rand(1, 3, 16, 32) * 2 - 1


def test_mirror_turns_left_to_right_below_a_half(image: Tensor) -> None:
    assert torch.equal(apply("mirror", image, 0.49), image.flip(3))
    assert torch.equal(apply("mirror", image, 0.51), image)


def test_color_at_the_middle_changes_nothing(image: Tensor) -> None:
    assert torch.allclose(apply("color", image, 0.5, 0.5, 0.5), image, atol=1e-6)


def test_color_changes_brightness_saturation_and_contrast(image: Tensor) -> None:
    assert torch.allclose(apply("color", image, 0.75, 0.5, 0.5), image + 0.25, atol=1e-6)
    grey = apply("color", image, 0.5, 0.0, 0.5)
    assert torch.allclose(grey[:, 0], grey[:, 2], atol=1e-6)
    assert torch.allclose(apply("color", image, 0.5, 0.5, 0.0).std(), image.std() / 2, atol=1e-6)


def test_translation_moves_by_whole_pixels_and_fills_with_zeros(image: Tensor) -> None:
    assert torch.equal(apply("translation", image, 0.5, 0.5), image)
    moved = apply("translation", image, 0.0, 0.999)  # up by 2 of 16 rows, right by 4 of 32 columns
    assert torch.equal(moved[:, :, :-2, 4:], image[:, :, 2:, :-4])
    assert not moved[:, :, -2:].any()
    assert not moved[:, :, :, :4].any()


def test_cutout_empties_a_rectangle_of_half_the_sides(image: Tensor) -> None:
    image = torch.ones_like(image)
    middle = apply("cutout", image, 0.5, 0.5)
    assert int((middle == 0).sum()) == 3 * 8 * 16
    assert not middle[:, :, 4:12, 8:24].any()
    corner = apply("cutout", image, 0.0, 0.0)
    assert int((corner == 0).sum()) == 3 * 4 * 8
    assert not corner[:, :, :4, :8].any()


@pytest.mark.parametrize("name", augmentations.names())
def test_each_image_is_changed_by_its_own_numbers(name: str) -> None:
    images, numbers, augment = torch.rand(4, 3, 8, 8), torch.rand(4, NUMBERS), augmentations.get(name).apply
    together = augment(images, numbers)
    for index in range(4):
        alone = augment(images[index : index + 1], numbers[index : index + 1])
        assert torch.allclose(together[index], alone[0], atol=1e-6)


@pytest.mark.parametrize("name", augmentations.names())
def test_gradients_go_through(name: str) -> None:
    images = torch.rand(2, 3, 8, 8, dtype=torch.float64, requires_grad=True)
    numbers = torch.rand(2, NUMBERS, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda images: augmentations.get(name).apply(images, numbers), images)
