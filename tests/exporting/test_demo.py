"""The local page: pictures of the right samples, wrong inputs in one line, and a Space with the same."""

from __future__ import annotations

import io
import json
import os
import runpy
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from PIL import Image, ImageChops

from ganzoo.errors import UsageError
from ganzoo.exporting.demo_models import ALL_CLASSES, load_models
from ganzoo.exporting.space import write_space
from ganzoo.rendering import picture
from ganzoo.specs import SampleSpec
from tests.conftest import Ganzoo, assert_two_lines
from tests.test_model import IMAGE, make_gan

CLASSES = SampleSpec(kind="image", shape=(1, 4, 4), classes=("cat", "dog"))


@pytest.fixture
def plain_folder(tmp_path: Path) -> Path:
    return make_gan().save(tmp_path / "plain")


@pytest.fixture
def class_folder(tmp_path: Path) -> Path:
    return make_gan(CLASSES).save(tmp_path / "classes")


def test_pictures_show_the_samples_of_the_seed_and_class(class_folder: Path) -> None:
    (model,) = load_models([class_folder]).values()
    gan = make_gan(CLASSES)
    expected = picture(gan.sample(4, seed=3, labels=1), CLASSES)
    # A browser sends floats, and what is hidden as an empty text.
    assert ImageChops.difference(model.sample(4.0, 3.0, "dog", "", ""), expected).getbbox() is None
    in_turn = picture(gan.sample(4, seed=3), CLASSES)
    assert ImageChops.difference(model.sample(4, 3, ALL_CLASSES, None, None), in_turn).getbbox() is None


def test_a_walk_begins_and_ends_at_its_seeds(plain_folder: Path) -> None:
    (model,) = load_models([plain_folder]).values()
    for share, seed in ((0, 5), (1.0, 6)):
        expected = picture(make_gan().sample(16, seed=seed), IMAGE)
        assert ImageChops.difference(model.walk(5, 6, share, None, None, None), expected).getbbox() is None


def test_clients_at_the_same_time_get_their_own_samples(plain_folder: Path) -> None:
    (model,) = load_models([plain_folder]).values()
    with ThreadPoolExecutor(10) as threads:
        found = list(threads.map(lambda seed: model.sample(9, seed, None, None, None), range(20)))
    for seed, image in enumerate(found):
        assert ImageChops.difference(image, picture(make_gan().sample(9, seed=seed), IMAGE)).getbbox() is None


def test_wrong_inputs_are_refused(class_folder: Path) -> None:
    (model,) = load_models([class_folder]).values()
    for num in (0, 1e6, 2.5, None, "4", True, float("nan")):
        with pytest.raises(UsageError, match="the number of samples"):
            model.sample(num, 0, None, None, None)  # type: ignore[arg-type]
    for seed in (-1, 2.0**60, [1], float("inf")):
        with pytest.raises(UsageError, match="the seed"):
            model.sample(1, seed, None, None, None)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="unknown class"):
        model.sample(1, 0, "<b>", None, None)
    with pytest.raises(UsageError, match="no sampling option"):
        model.sample(1, 0, "cat", None, "psi=1")
    with pytest.raises(UsageError, match="share"):
        model.walk(0, 1, 2, None, None, None)


def test_the_card_of_a_model_has_no_markup_of_its_names(tmp_path: Path) -> None:
    gan = make_gan()
    object.__setattr__(gan.config, "recipe", "<img src=x onerror=alert(1)>`[x](javascript:1)|")
    (model,) = load_models([gan.save(tmp_path / "gan")]).values()
    assert not set("<>[") & set(model.card)


def test_tensors_are_refused(tmp_path: Path) -> None:
    folder = make_gan(SampleSpec(kind="tensor", shape=(3,))).save(tmp_path / "gan")
    with pytest.raises(UsageError, match="not drawn"):
        load_models([folder])


def test_a_space_has_the_models_and_what_they_need(
    plain_folder: Path, ganzoo: Ganzoo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    space = tmp_path / "space"
    assert ganzoo("demo", "quadratic-mlp", plain_folder, "--space", space).stdout.strip() == str(space)
    monkeypatch.chdir(space)
    names = runpy.run_path("app.py")["MODELS"]
    assert names == ["quadratic-mlp@v1", "./model-1"]
    assert list(load_models(names)) == ["quadratic-mlp@v1", "model-1"]
    assert (space / "requirements.txt").read_text().startswith("ganzoo[demo]==")
    assert "sdk: gradio" in (space / "README.md").read_text()
    assert_two_lines(ganzoo("demo", "quadratic-mlp", "--space", space), 2, "is not empty")
    with pytest.raises(UsageError, match="needs a model"):
        write_space([], tmp_path / "other")


@pytest.mark.slow
def test_the_page_serves_its_pictures_and_no_other_file(plain_folder: Path, tmp_path: Path) -> None:
    package = pytest.importorskip("gradio").__file__
    secret = tmp_path / "secret.txt"
    secret.write_text("secret")
    # In a process of its own: gradio leaves sockets and event loops open.
    server = subprocess.Popen(
        [sys.executable, "-m", "ganzoo", "demo", plain_folder],
        cwd=tmp_path,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert server.stdout is not None
        address = server.stdout.readline().strip()
        assert address.startswith("http://127.0.0.1:")
        call = f"{address}gradio_api/call/sample"
        event = json.dumps({"data": [str(plain_folder), 4, 1, None, "", ""]}).encode()
        identifier = json.loads(fetched(Request(call, event, {"Content-Type": "application/json"})))["event_id"]
        (file,) = json.loads(fetched(f"{call}/{identifier}").rpartition(b"data:")[2])
        with Image.open(io.BytesIO(fetched(file["url"]))) as image:
            expected = picture(make_gan().sample(4, seed=1), IMAGE)
            assert ImageChops.difference(image.convert("L"), expected).getbbox() is None
        for path in (secret, "secret.txt", plain_folder / "config.json", package, "/etc/passwd"):
            assert fetched(f"{address}gradio_api/file={path}") == b"refused"
    finally:
        server.terminate()
        server.communicate(timeout=60)


def fetched(request: Request | str) -> bytes:
    """The answer, or `refused` for 403."""
    try:
        with urlopen(request, timeout=60) as answer:
            return bytes(answer.read())
    except HTTPError as error:
        with error:
            return b"refused" if error.code == 403 else error.read()
