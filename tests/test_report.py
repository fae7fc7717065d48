"""The report of a run: what is on the page, and that nobody's text becomes part of its code."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import re
import shlex
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import ganzoo
from ganzoo.config import Layer, assignments_layer, resolve, settings_from_json
from ganzoo.errors import GanzooError, UsageError
from ganzoo.registry import recipes
from ganzoo.rendering import write_report
from ganzoo.rendering.report import MAX_SHEETS, TRAINING_NUMBERS, repeating_command
from ganzoo.rendering.report import _changes as changes
from ganzoo.training.loop import Record
from tests.conftest import Ganzoo

QUICK: dict[str, Any] = {"steps": 6, "log_every": 2, "sample_every": 3, "seed": 0, "device": "cpu", "threads": 1}
HOSTILE = '"><script>alert(1)</script><img src=x onerror=alert(2)>\u202e\ud800'


class Page(HTMLParser):
    """Tags with their attributes, and the text between them."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("report") / "run"
    return ganzoo.train("quadratic-mlp", out=out, settings={**QUICK, "eval_every": 6}).path


@pytest.fixture
def run(tmp_path: Path, trained: Path) -> Path:
    """A copy of a run that may be changed."""
    import shutil

    return Path(shutil.copytree(trained, tmp_path / "run"))


def change_document(run: Path, **recipe: Any) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((run / "run.json").read_text())
    document["settings"]["recipe"].update(recipe)
    (run / "run.json").write_text(json.dumps(document))
    return document


def test_a_training_ends_with_its_report(trained: Path) -> None:
    page = Page(trained / "report.html")
    assert "quadratic-mlp" in page.text
    assert "finished" in page.text
    assert "step 6" in page.text
    for name in ("loss_d", "score_real", "curve-w1", "quadratic-quick-v1"):
        assert name in page.text
    assert [image["data-step"] for image in page.all("img")] == ["3", "6"]
    (last,) = [image for image in page.all("img") if image["data-step"] == "6"]
    kind, content = re.fullmatch(r"data:image/(\w+);base64,(.*)", last["src"] or "").groups()  # type: ignore[union-attr]
    with Image.open(io.BytesIO(base64.b64decode(content))) as image:
        assert image.format == kind.upper()
        assert f"{image.width}x{image.height}" == f"{last['width']}x{last['height']}"


def test_the_page_loads_nothing_and_runs_its_own_script_only(trained: Path) -> None:
    page = Page(trained / "report.html")
    content = (trained / "report.html").read_text(encoding="utf-8")
    (script,) = re.findall(r"<script>(.*?)</script>", content, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = next(meta["content"] for meta in page.all("meta") if meta.get("http-equiv"))
    assert policy == (f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{digest}'")
    assert not page.all("link")
    addresses = [value for _, attributes in page.tags for key, value in attributes.items() if key in ("src", "href")]
    assert addresses
    assert all(str(address).startswith(("data:image/", "#")) for address in addresses)
    assert "://" not in content.replace("http://www.w3.org", "")


def test_texts_of_a_run_never_become_code(run: Path) -> None:
    tags = {tag for tag, _ in Page(run / "report.html").tags}
    change_document(run, name=HOSTILE, summary=HOSTILE, source=HOSTILE, notes=HOSTILE, config={HOSTILE: HOSTILE})
    record = {"step": 6, "loss_d": 1.0, HOSTILE: 0.5, "protocol": HOSTILE}
    (run / "metrics.jsonl").write_text(json.dumps({"step": 2, HOSTILE: 0.1}) + "\n" + json.dumps(record) + "\n")
    (run / "best" / "best.json").write_text(
        json.dumps({"metric": HOSTILE, "protocol": HOSTILE, "value": 1.0, "step": 6})
    )
    page = Page(write_report(run))
    assert {tag for tag, _ in page.tags} <= tags
    assert len(page.all("script")) == 1
    assert not any(key.startswith("on") for _, attributes in page.tags for key in attributes)
    assert page.text.count("<script>alert(1)</script>") >= 8  # as text, in every place


@pytest.mark.parametrize(
    "settings",
    [
        {"steps": 1000, "batch_size": 32, "seed": 7, "eval_every": 100, "device": "cpu"},
        {"architecture": "resnet", "config": {"blocks": 2}, "dataset": "cifar10"},
        {"optimizers.generator.kind": "sgd", "regularizers.r1": 0.5, "ema_decay": None, "augment": ["mirror", "color"]},
        {"optimizers.discriminator.learning_rate": {"kind": "cosine", "start": 1e-3, "end": 1e-5}},
        {"label_smoothing": 0.1, "eval_protocol": "1", "dataset_config": {"size": 8, "name": "a b's"}},
    ],
    ids=["numbers", "architecture", "kinds", "schedule", "texts"],
)
def test_the_command_repeats_the_settings(settings: dict[str, Any]) -> None:
    layer = Layer("test", settings)
    expected = resolve(recipes.get("mnist-mlp"), [layer], seed=0)
    document = {"settings": expected.to_json(), "data_dir": "/home/alice/my photos"}
    changed = changes("mnist-mlp", document["settings"])  # type: ignore[arg-type]
    assert changed is not None
    program, verb, recipe, *words = shlex.split(repeating_command(document, changed))
    assert (program, verb, recipe) == ("ganzoo", "train", "mnist-mlp")
    options = list(zip(words[::2], words[1::2], strict=True))
    assert options.pop() == ("--data-dir", "my photos")
    assigned = [value for name, value in options if name == "--set"]
    flags = [f"{name[2:].replace('-', '_')}={value}" for name, value in options if name != "--set"]
    repeated = resolve(recipes.get(recipe), [assignments_layer([*assigned, *flags])], seed=99)
    assert repeated.to_json() == settings_from_json(expected.to_json(), "").to_json()


def test_a_recipe_that_is_not_installed_is_still_reported(run: Path) -> None:
    change_document(run, name="somebodys-recipe")
    page = Page(write_report(run))
    assert "ganzoo train somebodys-recipe --seed 0" in page.text
    assert "not installed" in page.text


def test_a_folder_on_this_machine_is_not_shown_to_others(run: Path) -> None:
    document = change_document(run)
    (run / "run.json").write_text(json.dumps({**document, "data_dir": "/home/alice/photos"}))
    content = write_report(run).read_text()
    assert "/home/alice" not in content
    assert "--data-dir photos" in content


def test_an_unfinished_run_without_records_has_a_report(run: Path) -> None:
    (run / "metrics.jsonl").unlink()
    for path in (run / "samples").iterdir():
        path.unlink()
    page = Page(write_report(run))
    assert "step 0 of 6" in page.text
    assert not page.all("figure")
    assert not page.all("input")


def test_many_samples_are_thinned_and_damaged_ones_left_out(run: Path) -> None:
    content = (run / "samples" / "step-00000006.png").read_bytes()
    small = io.BytesIO()
    Image.open(io.BytesIO(content)).resize((16, 16)).save(small, "PNG")
    for step in range(10, 110):
        (run / "samples" / f"step-{step:08d}.png").write_bytes(small.getvalue())
    (run / "samples" / "step-00000003.png").write_bytes(b"no picture")
    steps = [int(str(image["data-step"])) for image in Page(write_report(run)).all("img")]
    assert len(steps) == MAX_SHEETS - 1
    assert steps[-1] == 109


def test_evaluations_and_neighbours_are_shown(run: Path) -> None:
    metric = {"name": "curve-w1", "value": 0.25, "std": 0.01, "better": "lower", "protocol": "quadratic-exact-v2"}
    evaluations = run / "evaluations"
    evaluations.mkdir()
    digest = hashlib.sha256((run / "model.safetensors").read_bytes()).hexdigest()
    for name, sha256, deviation in (("a", digest, None), ("b", "0" * 64, None), ("c", digest, "fewer samples")):
        report = {"weights_sha256": sha256, "deviation": deviation, "metrics": [metric]}
        (evaluations / f"{name}.json").write_text(json.dumps(report))
    (evaluations / "damaged.json").write_text('{"metrics"')
    (evaluations / "neighbours.json").write_text(json.dumps({"authenticity": 0.75, "space": "pixels"}))
    Image.new("RGB", (64, 32)).save(run / "neighbours.png")
    page = Page(write_report(run))
    assert "0.25 ± 0.01" in page.text
    assert "earlier weights of this run" in page.text
    assert "deviates from the protocol: fewer samples" in page.text
    assert "Nearest real images" in page.text
    assert "authenticity0.75" in page.text


def test_the_numbers_of_a_record_are_not_taken_for_metrics() -> None:
    assert {*Record.__dataclass_fields__} - {"metrics", "protocol"} == TRAINING_NUMBERS


def test_what_is_no_run_is_refused(tmp_path: Path, run: Path) -> None:
    with pytest.raises(UsageError, match="not a run"):
        write_report(tmp_path)
    for content in ("[]", "{}", "{", '{"settings": {"recipe": {"name": 5, "steps": "x"}}}', "[" * 100_000):
        (run / "run.json").write_text(content)
        with pytest.raises(GanzooError, match=r"cannot read .*run.json"):
            write_report(run)


def test_the_command_writes_a_file_elsewhere(ganzoo: Ganzoo, run: Path, tmp_path: Path) -> None:
    target = tmp_path / "shown" / "page.html"
    result = ganzoo("report", str(run), "--out", str(target), "--json")
    assert json.loads(result.stdout) == {"path": str(target), "size": target.stat().st_size}
    assert ganzoo("report", str(run)).stdout.strip() == str(run / "report.html")
