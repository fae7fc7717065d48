"""A model in Python: latents, calls, gradients, names of classes, its discriminator, pictures, and other types."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import ganzoo
from ganzoo.errors import MissingWeightsError, UsageError
from ganzoo.latents import truncate_latents
from ganzoo.randomness import sample_latents
from ganzoo.rendering.notebook import notebook_display
from ganzoo.rendering.picture import to_pixels
from ganzoo.specs import LatentSpec, SampleSpec
from ganzoo.training import Record
from ganzoo.training.display import TrainingDisplay
from tests.test_model import make_gan

CLASSES = SampleSpec(kind="image", shape=(1, 4, 4), classes=("cat", "dog", "<owl>"))


def test_a_call_maps_the_latents_of_a_seed_to_its_samples() -> None:
    gan = make_gan(CLASSES)
    latents = gan.latents(5, seed=3)
    assert latents.shape == (5, 3)
    assert torch.equal(gan(latents), gan.sample(5, seed=3))
    assert torch.equal(gan(latents.numpy()), gan.sample(5, seed=3))
    assert torch.equal(gan(latents.tolist(), "dog"), gan.sample(5, seed=3, labels=1))


@pytest.mark.parametrize(
    "labels", [["dog", 0, "<owl>"], ("dog", "cat", 2), np.array([1, 0, 2]), np.array(["dog", "cat", "<owl>"])]
)
def test_classes_are_given_by_name_or_number(labels: object) -> None:
    gan = make_gan(CLASSES)
    assert torch.equal(gan.sample(3, seed=0, labels=labels), gan.sample(3, seed=0, labels=[1, 0, 2]))  # type: ignore[arg-type]
    assert gan.classes == ("cat", "dog", "<owl>")
    with pytest.raises(UsageError, match="or names of classes"):
        gan.sample(3, labels=["dog", "cow", "cat"])


def test_gradients_reach_latents_that_require_them_and_no_others() -> None:
    gan = make_gan()
    latents = gan.latents(70, seed=0).requires_grad_()
    gan(latents).square().sum().backward()
    assert latents.grad is not None
    assert (latents.grad.abs().sum(1) > 0).all()
    assert not gan(latents.detach()).requires_grad
    with torch.no_grad():
        assert not gan(latents).requires_grad


@pytest.mark.parametrize(
    "latents",
    [
        torch.zeros(3),
        torch.zeros(2, 4),
        torch.zeros(0, 3),
        torch.ones(2, 3, dtype=torch.bool),
        "z",
        [[1.0], [2.0, 3.0]],
    ],
)
def test_latents_that_do_not_fit_are_refused(latents: object) -> None:
    with pytest.raises(UsageError, match="latents must be") as caught:
        make_gan()(latents)  # type: ignore[arg-type]
    assert "gan.latents" in caught.value.hint


def test_another_type_computes_and_is_not_saved(tmp_path: Path) -> None:
    gan, expected = make_gan(), make_gan().sample(70, seed=0)
    assert gan.to(torch.bfloat16).dtype == torch.bfloat16
    samples = gan.sample(70, seed=0)
    assert samples.dtype == torch.float32
    assert 0 < float((samples - expected).abs().max()) < 0.05
    with pytest.raises(UsageError, match="converted to"):
        gan.save(tmp_path / "gan")
    assert not (tmp_path / "gan").exists()
    gan.to("cpu", torch.float32).save(tmp_path / "gan")
    with pytest.raises(UsageError, match="cannot compute in"):
        gan.to(torch.int64)


def test_the_discriminator_is_read_where_there_is_one(tmp_path: Path) -> None:
    gan = ganzoo.load("mnist-mlp")
    logits = gan.discriminator(gan.sample(4, seed=0))
    assert logits.shape == (4,)
    assert gan.discriminator is gan.discriminator
    assert not gan.discriminator.training
    folder = make_gan().save(tmp_path / "gan")
    for without in (ganzoo.load(folder), ganzoo.load("mnist-cgan"), make_gan()):
        with pytest.raises(MissingWeightsError, match="has no discriminator"):
            _ = without.discriminator


def test_a_loaded_model_is_pickled_without_the_way_to_its_files(tmp_path: Path) -> None:
    gan = ganzoo.load(make_gan().save(tmp_path / "gan"))
    again = pickle.loads(pickle.dumps(gan))
    assert torch.equal(again.sample(3, seed=0), gan.sample(3, seed=0))


def test_pictures_are_the_samples() -> None:
    gan = make_gan(CLASSES)
    images = gan.images(3, seed=0, labels="dog")
    assert np.array_equal(
        np.stack([np.asarray(image) for image in images]), to_pixels(gan.sample(3, seed=0, labels=1))[..., 0]
    )
    assert gan.grid(6, columns=6, seed=0).height < gan.grid(6, columns=6, seed=0).width
    curves = ganzoo.load("quadratic-mlp")
    assert [image.size for image in curves.images(2, seed=0)] == [curves.grid(2, seed=0).size] * 2


def test_a_notebook_shows_picture_facts_and_a_line_to_start_with() -> None:
    html = make_gan(CLASSES)._repr_html_()
    assert "data:image/png;base64," in html
    assert "gan.grid(16, seed=0, labels=&#x27;cat&#x27;)" in html
    assert "&lt;owl&gt;" in html
    assert "<owl>" not in html
    assert "fd-lenet" in ganzoo.load("mnist-mlp")._repr_html_()
    tensors = make_gan(SampleSpec(kind="tensor", shape=(2, 3)))._repr_html_()
    assert "<img" not in tensors
    assert "gan.sample(16, seed=0)" in tensors


def test_a_notebook_shows_a_training_as_a_bar_over_its_newest_samples(tmp_path: Path) -> None:
    assert notebook_display() is None  # pytest is not a notebook
    shown: list[str] = []
    display = TrainingDisplay(shown.append, "<mine>", 1000, tmp_path)
    record = Record(
        step=500,
        images=32_000,
        loss_d=1.25,
        loss_g=0.5,
        score_real=0.5,
        score_fake=0.5,
        accuracy=0.5,
        seconds=10.0,
        steps_per_second=50.0,
        metrics={"kid": 0.125},
    )
    display(record)
    Image.new("L", (4, 4)).save(tmp_path / "step-00000500.png")
    display(record)
    assert "&lt;mine&gt;" in shown[0]
    assert "value='500' max='1000'" in shown[0]
    assert "10 s remaining" in shown[0]
    assert "kid 0.125" in shown[0]
    assert ["<img" in html for html in shown] == [False, True]


# --- truncation ---

NORMAL = LatentSpec(dim=4)


@pytest.mark.parametrize(
    "latent",
    [
        NORMAL,
        LatentSpec(dim=4, distribution="uniform"),
        LatentSpec(dim=4, distribution="truncated_normal", truncation=1.5),
    ],
    ids=lambda latent: latent.distribution,
)
def test_truncated_latents_have_the_truncated_law_and_keep_their_order(latent: LatentSpec) -> None:
    drawn = sample_latents(latent, 20_000, 0)
    moved = truncate_latents(latent, drawn, 0.5)
    assert 0.49 < float(moved.abs().max()) <= 0.5
    assert (moved.flatten()[drawn.flatten().argsort()].diff() >= 0).all()
    if latent.distribution == "uniform":
        expected = 0.5 / 3**0.5
    else:  # variance of a normal number within ± c: 1 - 2 c phi(c) / erf(c / sqrt 2)
        phi = torch.distributions.Normal(0.0, 1.0)
        c = torch.tensor(0.5)
        expected = float((1 - 2 * c * phi.log_prob(c).exp() / torch.erf(c / 2**0.5)).sqrt())
    assert float(moved.std()) == pytest.approx(expected, rel=0.01)
    assert torch.allclose(truncate_latents(latent, drawn, 8.0), drawn, atol=1e-4)


def test_truncation_reaches_sample_stream_and_latents() -> None:
    gan = make_gan()
    whole = gan.sample(70, seed=0, truncation=0.5)
    assert torch.equal(torch.cat(list(gan.stream(70, seed=0, truncation=0.5))), whole)
    assert torch.equal(gan(gan.latents(70, 0, truncation=0.5)), whole)
    assert not torch.equal(gan.sample(70, seed=0), whole)


@pytest.mark.parametrize("bound", [0, -1.0, float("inf"), float("nan"), "1", True])
def test_a_bound_that_is_not_a_positive_number_is_refused_at_once(bound: object) -> None:
    with pytest.raises(UsageError, match="truncation is"):
        make_gan().stream(1, truncation=bound)  # type: ignore[arg-type]


def test_categories_are_not_truncated() -> None:
    with pytest.raises(UsageError, match="categorical"):
        make_gan(distribution="categorical").latents(1, 0, truncation=1.0)
