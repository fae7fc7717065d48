"""Its contracts, its law, its nets and its loss."""

from __future__ import annotations

import torch
from ganzoo_ring import FOURIER_MLP, RELATIVISTIC_AVERAGE, RING
from ganzoo_ring.data import centres

import ganzoo
from ganzoo.testing import parametrize_with_checks


@parametrize_with_checks("ganzoo-ring")
def test_contracts(spec, check) -> None:
    check(spec)


def test_labels_are_those_of_the_points_of_the_same_state() -> None:
    data = RING.load(None, "train", False)
    points = data.draw(1000, torch.Generator().manual_seed(3))
    labels = data.draw_labels(1000, torch.Generator().manual_seed(3))
    nearest = torch.cdist(points, centres()).argmin(1)
    assert torch.equal(nearest, labels)


def test_both_losses_are_smallest_where_the_nets_want_them() -> None:
    high, low = torch.full((4,), 0.5), torch.full((4,), -0.5)
    assert RELATIVISTIC_AVERAGE.discriminator(high, low, 0.0) == 0
    assert RELATIVISTIC_AVERAGE.generator(high, low) == 0
    assert RELATIVISTIC_AVERAGE.discriminator(low, high, 0.0) == 8


def test_the_discriminator_looks_at_the_label() -> None:
    net = FOURIER_MLP.build_discriminator(FOURIER_MLP.config(), RING.sample)
    logits = net(torch.zeros(8, 2), torch.arange(8))
    assert logits.shape == (8,)
    assert len(logits.unique()) == 8


def test_the_weights_draw_the_class_that_is_asked_for() -> None:
    points = ganzoo.load("ring-gan").sample(100, seed=0, labels=2)
    near = (points - centres()[2]).norm(dim=1) < 0.3
    assert near.float().mean() > 0.9
