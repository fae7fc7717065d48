from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw, ImageFont

from ganzoo.errors import EvaluationError
from ganzoo.specs import MetricInputs, MetricSpec, SampleSpec
from ganzoo_ocr import (
    OCR_CONFIDENCE,
    OCR_REAL_CER,
    OCR_REAL_CONFIDENCE,
    OCR_REAL_EXACT,
    OCR_REAL_WORDS,
    OCR_TEXT_CER,
    OCR_TEXT_EXACT,
    OCR_WORDS,
)
from ganzoo_ocr.edit_distance import edit_distance
from ganzoo_quadratic import QUADRATIC
from tests.test_evaluation import metric_inputs

METRICS = [OCR_WORDS, OCR_CONFIDENCE, OCR_REAL_WORDS, OCR_REAL_CONFIDENCE, OCR_REAL_EXACT, OCR_REAL_CER]
WORD_IMAGE = SampleSpec(kind="image", shape=(1, 32, 128))
TEXTS = ["apple", "River", "STONE", "window", "Garden", "orange", "BRIDGE", "candle", "doctor", "Eagle"]
VOCABULARY = frozenset(text.lower() for text in TEXTS)

needs_ocr = pytest.mark.usefixtures("ocr")


@pytest.fixture(scope="module")
def ocr() -> None:
    pytest.importorskip("rapidocr", reason="the ocr extra is not installed")


def rendered(texts: list[str]) -> torch.Tensor:
    """Black on white, float32 [num, 1, 32, 128] in [-1, 1]."""
    images = []
    for text in texts:
        image = Image.new("L", (128, 32), 255)
        ImageDraw.Draw(image).text((64, 16), text, fill=0, font=ImageFont.load_default(22), anchor="mm")
        images.append(np.asarray(image))
    return torch.from_numpy(np.stack(images)).unsqueeze(1).float() / 127.5 - 1


def noise(num: int) -> torch.Tensor:
    return torch.rand(num, 1, 32, 128, generator=torch.Generator().manual_seed(0)) * 2 - 1


def inputs(
    samples: torch.Tensor, shown: list[str] = TEXTS, written: list[str] | None = None, **members: Any
) -> MetricInputs:
    """Generated samples; real ones that show some words, annotated with the same or others."""
    defaults = {
        "samples": samples,
        "sample": WORD_IMAGE,
        "real": lambda: rendered(shown),
        "real_texts": lambda: written or shown,
        "vocabulary": lambda: VOCABULARY,
    }
    return metric_inputs(**{**defaults, **members})


@needs_ocr
@pytest.mark.slow
def test_words_are_read_whatever_their_case() -> None:
    given = inputs(rendered(TEXTS))
    assert OCR_WORDS.compute(given) >= 0.9
    assert OCR_CONFIDENCE.compute(given) > 0.9
    assert OCR_REAL_EXACT.compute(inputs(noise(1), written=[text.swapcase() for text in TEXTS])) >= 0.9


@needs_ocr
def test_what_is_read_is_compared_with_the_texts_that_were_asked_for() -> None:
    asked = [*TEXTS[:4], "apples"]
    given = inputs(rendered([*TEXTS[:4], "apple"]), texts=[text.upper() for text in asked])
    assert OCR_TEXT_EXACT.compute(given) == 4 / 5
    assert OCR_TEXT_CER.compute(given) == 1 / len("".join(asked))
    for metric in (OCR_TEXT_EXACT, OCR_TEXT_CER):
        with pytest.raises(EvaluationError, match="not text-conditional"):
            metric.compute(inputs(rendered(TEXTS), texts=None))


@needs_ocr
def test_noise_holds_no_words_while_the_real_line_stays() -> None:
    given = inputs(noise(10))
    assert OCR_WORDS.compute(given) == 0
    assert OCR_CONFIDENCE.compute(given) < 0.5
    assert OCR_REAL_WORDS.compute(given) >= 0.9
    assert OCR_REAL_CONFIDENCE.compute(given) > 0.9
    assert OCR_REAL_CER.compute(given) < 0.05


@needs_ocr
def test_a_word_outside_the_vocabulary_is_no_word() -> None:
    assert OCR_WORDS.compute(inputs(rendered(["apple", "hammer"]))) == 0.5


@needs_ocr
def test_the_error_rate_counts_edits_for_each_written_character() -> None:
    # River -> silver: one inserted, one replaced; candle -> handle: one replaced; 6 + 6 characters are written.
    given = inputs(noise(1), shown=["River", "candle"], written=["Silver", "handle"])
    assert OCR_REAL_CER.compute(given) == pytest.approx(3 / 12)
    assert OCR_REAL_EXACT.compute(given) == 0


@needs_ocr
def test_a_reading_depends_on_no_other_image() -> None:
    from ganzoo_ocr.recogniser import read

    images = torch.cat([noise(3), rendered(TEXTS)])
    together = read(images)
    torch_threads = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        assert read(images) == together
    finally:
        torch.set_num_threads(torch_threads)
    assert [*read(images[5:7]), *read(images[7:])] == together[5:]


@pytest.mark.parametrize(
    ("first", "second", "edits"),
    [
        ("kitten", "sitting", 3),
        ("", "abc", 3),
        ("abc", "", 3),
        ("", "", 0),
        ("flaw", "lawn", 2),
        ("same", "same", 0),
    ],
)
def test_the_edit_distance_of_known_pairs(first: str, second: str, edits: int) -> None:
    assert edit_distance(first, second) == edits


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
@pytest.mark.parametrize("sample", [QUADRATIC.sample, SampleSpec(kind="image", shape=(1, 28, 28))], ids=str)
def test_other_samples_are_refused_before_anything_is_read(metric: MetricSpec, sample: SampleSpec) -> None:
    with pytest.raises(EvaluationError, match="reads grey word images, 32 × 128"):
        metric.compute(inputs(torch.zeros(2, *sample.shape), sample=sample))


@pytest.mark.parametrize("metric", [OCR_REAL_EXACT, OCR_REAL_CER], ids=lambda metric: metric.name)
def test_real_images_without_texts_are_refused(metric: MetricSpec) -> None:
    with pytest.raises(EvaluationError, match="does not say what is written"):
        metric.compute(inputs(noise(1), real_texts=lambda: None))


READ_NOISE = """
import torch
from ganzoo.errors import EvaluationError
from ganzoo_ocr.recogniser import read
try:
    print(read(torch.zeros(1, 1, 32, 128)))
except EvaluationError as error:
    print(error, error.hint)
"""


def python(code: str) -> str:
    """Run code in a process of its own; return what it prints, and hold it to silence elsewhere."""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (0, "")
    return result.stdout.strip()


@needs_ocr
@pytest.mark.slow
def test_reading_is_silent_and_asks_no_network() -> None:
    blocked = "import socket, sys\nsocket.getaddrinfo = socket.socket.connect = lambda *_: sys.exit('asked')"
    assert python(blocked + READ_NOISE) == "[Reading(text='', confidence=0.0)]"


@pytest.mark.slow
@pytest.mark.parametrize("package", ["rapidocr", "onnxruntime"])
def test_a_missing_extra_is_one_line(package: str) -> None:
    if package == "onnxruntime":
        pytest.importorskip("rapidocr")
    blocked = f"import sys; sys.modules[{package!r}] = None"
    assert python(blocked + READ_NOISE) == (
        f"reading words needs {package}. Install it with: pip install 'ganzoo[ocr]'"
    )


@pytest.mark.slow
def test_another_recogniser_is_refused(tmp_path: Path) -> None:
    for name, content in {"rapidocr": "class RapidOCR: ...", "onnxruntime": ""}.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text(content)
    assert python(f"import sys; sys.path.insert(0, {str(tmp_path)!r})" + READ_NOISE) == (
        "the installed rapidocr does not contain PP-OCRv6_rec_small.onnx, which these metrics need. "
        "Install it with: pip install 'ganzoo[ocr]'"
    )
