"""Metrics of the texts that the recogniser reads."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

from ganzoo.errors import EvaluationError
from ganzoo.specs import MetricInputs
from ganzoo_ocr.edit_distance import edit_distance
from ganzoo_ocr.recogniser import HEIGHT, WIDTH, Reading, read


def words(inputs: MetricInputs) -> float:
    """Share of generated images that are read as a word of the dataset."""
    return _share_of_words(inputs, _readings(inputs))


def distinct_words(inputs: MetricInputs) -> float:
    """Count the different words of the dataset that are read, per generated image."""
    readings = _readings(inputs)
    # A model that draws one legible word forever has a high ocr-words; here it gets 1 / num.
    return len({reading.text for reading in readings} & inputs.vocabulary()) / len(readings)


def confidence(inputs: MetricInputs) -> float:
    """Mean confidence on the generated images."""
    return fmean(reading.confidence for reading in _readings(inputs))


def text_exact(inputs: MetricInputs) -> float:
    """Share of generated images that are read as the text that was asked for."""
    return fmean(found == asked for found, asked in _asked_pairs(inputs))


def text_character_error_rate(inputs: MetricInputs) -> float:
    """Edits between the text read and the text asked for on the generated images, per character asked for."""
    return _character_error_rate(_asked_pairs(inputs))


def real_words(inputs: MetricInputs) -> float:
    """Share of real images that are read as a word of the dataset."""
    return _share_of_words(inputs, _real_readings(inputs))


def real_confidence(inputs: MetricInputs) -> float:
    """Mean confidence on the real images."""
    return fmean(reading.confidence for reading in _real_readings(inputs))


def real_exact(inputs: MetricInputs) -> float:
    """Share of real images that are read correctly."""
    return fmean(found == written for found, written in _real_pairs(inputs))


def real_character_error_rate(inputs: MetricInputs) -> float:
    """Edits between the text read and the text written on the real images, per written character."""
    return _character_error_rate(_real_pairs(inputs))


def _character_error_rate(pairs: Sequence[tuple[str, str]]) -> float:
    # Edits of all images over characters of all images, the usual CER: a mean of ratios would give short words more
    # weight.
    return sum(edit_distance(found, written) for found, written in pairs) / sum(len(written) for _, written in pairs)


def _share_of_words(inputs: MetricInputs, readings: Sequence[Reading]) -> float:
    vocabulary = inputs.vocabulary()
    return fmean(reading.text in vocabulary for reading in readings)


def _readings(inputs: MetricInputs) -> Sequence[Reading]:
    _check(inputs)
    found: Sequence[Reading] = inputs.cached("ocr readings", lambda: read(inputs.samples))
    return found


def _real_readings(inputs: MetricInputs) -> Sequence[Reading]:
    _check(inputs)
    # Once for all seeds of a protocol: the real images do not depend on the seed.
    found: Sequence[Reading] = inputs.cached_real("ocr readings", lambda: read(inputs.real()))
    return found


def _asked_pairs(inputs: MetricInputs) -> list[tuple[str, str]]:
    """Return the text read and the text asked for, both in lower case, for each generated image."""
    if inputs.texts is None:
        raise EvaluationError(
            "this metric compares with the texts that were asked for, but the model is not text-conditional.",
            hint="Train with --set conditional=true --set condition=text, or choose another metric.",
        )
    return [(reading.text, text.lower()) for reading, text in zip(_readings(inputs), inputs.texts, strict=True)]


def _real_pairs(inputs: MetricInputs) -> list[tuple[str, str]]:
    """Return the text read and the text written, both in lower case, for each real image."""
    _check(inputs)
    texts = inputs.real_texts()
    if texts is None:
        raise EvaluationError(
            "the dataset does not say what is written on its images.", hint="Choose a metric that needs no texts."
        )
    readings = _real_readings(inputs)
    return [(reading.text, text.lower()) for reading, text in zip(readings, texts, strict=True)]


def _check(inputs: MetricInputs) -> None:
    if inputs.sample.kind != "image" or inputs.sample.shape != (1, HEIGHT, WIDTH) or not len(inputs.samples):
        raise EvaluationError(
            f"this metric reads grey word images, {HEIGHT} × {WIDTH}.",
            hint="Choose a metric of the model's own dataset.",
        )
