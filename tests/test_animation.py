"""Pictures in a row, and walks through latent space."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageSequence

from ganzoo.errors import GanzooError, UsageError
from ganzoo.randomness import interpolate_latents, sample_latents
from ganzoo.rendering import animate_run, write_animation
from ganzoo.rendering.animation import MAX_FRAMES, MAX_WIDTH
from ganzoo.specs import LatentSpec
from tests.test_model import make_gan


def make_run(folder: Path, steps: range, size: tuple[int, int] = (60, 40), mode: str = "L") -> Path:
    (folder / "samples").mkdir(parents=True)
    for step in steps:
        level = step % 256
        colour = level if mode == "L" else (level, 255 - level, 0)
        Image.new(mode, size, colour).save(folder / "samples" / f"step-{step:08d}.png")
    return folder


def read(path: Path) -> tuple[list[Image.Image], list[int]]:
    with Image.open(path) as image:
        frames = [(frame.convert("RGB"), frame.info["duration"]) for frame in ImageSequence.Iterator(image)]
        assert image.info["loop"] == 0
    return [frame for frame, _ in frames], [duration for _, duration in frames]


@pytest.mark.parametrize("mode", ["L", "RGB"])
@pytest.mark.parametrize("form", ["gif", "webp"])
def test_a_runs_pictures_become_frames_in_the_order_of_their_steps(tmp_path: Path, form: str, mode: str) -> None:
    run = make_run(tmp_path / "run", range(20, 220, 20), mode=mode)
    (run / "samples" / ".step-00000300.png.0.partial").write_bytes(b"half")  # what a killed process was writing
    target = tmp_path / "out" / f"run.{form}"
    assert animate_run(run, target, 2.0) == 10
    frames, durations = read(target)
    levels = [float(np.asarray(frame)[5, 5, 0]) for frame in frames]
    assert levels == pytest.approx(list(range(20, 220, 20)), abs=9)  # the forms round colours
    assert sum(durations) == 2000 + 1500  # the last one is held
    assert frames[0].height > 40  # the step is written below


def test_an_mp4_shows_each_frame_as_long_as_asked_and_has_an_even_size(tmp_path: Path) -> None:
    av = pytest.importorskip("av", reason="needs the extra video")
    run = make_run(tmp_path / "run", range(20, 220, 20), size=(61, 41))
    assert animate_run(run, tmp_path / "run.mp4", 2.0) == 10
    with av.open(tmp_path / "run.mp4") as video:
        shown = [(float(frame.time), frame.to_ndarray(format="gray")) for frame in video.decode(video=0)]
        assert float(video.duration) / av.time_base == pytest.approx(2.0 + 1.5, abs=0.15)  # the last one is held
    frames = [frame for time, frame in shown if time < 1.99]
    assert frames[0].shape == (72, 62)  # 61 x 41 and the caption, each rounded up to an even number
    assert [float(frame[5, 5]) for frame in frames] == pytest.approx(list(range(20, 220, 20)), abs=3)


def test_an_mp4_without_its_extra_is_refused_before_anything_is_drawn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(UsageError, match="needs av") as raised:
        animate_run(make_run(tmp_path / "run", range(2)), tmp_path / "run.mp4", 1)
    assert raised.value.hint == "pip install 'ganzoo[video]'"


def test_captions_differ_where_pictures_do_not(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", range(0, 512, 256))
    animate_run(run, tmp_path / "run.gif", 1)
    first, second = (np.asarray(frame) for frame in read(tmp_path / "run.gif")[0])
    assert np.array_equal(first[:40], second[:40])
    assert not np.array_equal(first[40:], second[40:])


def test_a_long_run_is_thinned_and_a_wide_picture_shrunk(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", range(1, 402), size=(2 * MAX_WIDTH, 8))
    assert animate_run(run, tmp_path / "run.gif", 6) == MAX_FRAMES
    with Image.open(tmp_path / "run.gif") as image:
        assert image.width == MAX_WIDTH


@pytest.mark.parametrize("name", ["x.avi", "x", "x.png"])
def test_another_form_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="file type"):
        animate_run(make_run(tmp_path / "run", range(2)), tmp_path / name, 1)
    with pytest.raises(UsageError, match="file type"):
        write_animation([Image.new("L", (4, 4))], tmp_path / name, 0.1)
    assert not (tmp_path / name).exists()


def test_a_folder_without_pictures_and_a_damaged_picture_are_one_line(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="has no sample pictures"):
        animate_run(tmp_path, tmp_path / "x.gif", 1)
    run = make_run(tmp_path / "run", range(3), size=(200, 200))
    damaged = run / "samples" / "step-00000001.png"
    damaged.write_bytes(damaged.read_bytes()[:60])
    with pytest.raises(GanzooError, match=r"step-00000001\.png is damaged"):
        animate_run(run, tmp_path / "x.gif", 1)


def test_only_pngs_of_bounded_size_are_pictures(tmp_path: Path) -> None:
    for index, (content, words) in enumerate({"EPS": "cannot identify", "PNG": "12000 × 12000 pixels"}.items()):
        run = make_run(tmp_path / str(index), range(1))
        size = (8, 8) if content == "EPS" else (12000, 12000)
        Image.new("L", size).save(run / "samples" / "step-00000000.png", content)
        with pytest.raises(GanzooError, match=words):
            animate_run(run, tmp_path / "x.gif", 1)


NORMAL, UNIFORM = LatentSpec(dim=16), LatentSpec(dim=16, distribution="uniform")


@pytest.mark.parametrize("latent", [NORMAL, UNIFORM])
def test_an_interpolation_begins_and_ends_at_its_ends(latent: LatentSpec) -> None:
    start, end = sample_latents(latent, 5, 0), sample_latents(latent, 5, 1)
    assert torch.allclose(interpolate_latents(latent, start, end, 0.0), start, atol=1e-6)
    assert torch.allclose(interpolate_latents(latent, start, end, 1.0), end, atol=1e-6)


def test_normal_latents_keep_their_length_on_the_way_and_uniform_ones_go_straight() -> None:
    start, end = (sample_latents(NORMAL, 5, seed) for seed in (0, 1))
    middle = interpolate_latents(NORMAL, start, end, 0.5).norm(dim=1)
    assert torch.allclose(middle, (start.norm(dim=1) + end.norm(dim=1)) / 2)
    assert torch.equal(interpolate_latents(UNIFORM, start, end, 0.5), torch.lerp(start, end, 0.5))


def test_opposite_and_equal_latents_have_a_way_too() -> None:
    start = torch.ones(1, 16)
    assert torch.allclose(interpolate_latents(NORMAL, start, -start, 0.25), start / 2)
    assert torch.allclose(interpolate_latents(NORMAL, start, start, 0.25), start)


def test_an_interpolation_is_a_loop_through_the_samples_of_its_seeds() -> None:
    gan = make_gan()
    frames = list(gan.interpolate(4, keys=3, frames=12, seed=7))
    assert len(frames) == 12
    for key in range(3):
        assert torch.allclose(frames[4 * key], gan.sample(4, seed=7 + key), atol=1e-5)
    steps = [(after - before).abs().mean() for before, after in zip(frames, [*frames[1:], frames[0]], strict=True)]
    assert max(steps) < 5 * min(steps)  # no jump, not from the last to the first either
    with pytest.raises(UsageError, match="keys is 1"):
        next(gan.interpolate(keys=1))
