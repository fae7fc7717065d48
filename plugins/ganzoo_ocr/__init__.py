"""Legibility of word images by a text recogniser: of generated images, and of real ones as the reference.

The images are grey, 32 × 128, one word each. Texts are compared in lower case and without spaces. The recogniser is
PP-OCRv6 (small) from the rapidocr package, pinned by its sha256; it needs no network. Install it with the `ocr` extra.
"""

from __future__ import annotations

from ganzoo.deferred import deferred
from ganzoo.specs import MetricSpec

OCR_WORDS = MetricSpec(
    name="ocr-words",
    summary="share of images that are read as a word of the dataset, ignoring case, 0 to 1",
    better="higher",
    compute=deferred("ganzoo_ocr.metrics:words"),
    versions=deferred("ganzoo_ocr.recogniser:versions"),
)
OCR_DISTINCT_WORDS = MetricSpec(
    name="ocr-distinct-words",
    summary="number of different words of the dataset that are read, divided by the number of images, 0 to 1",
    better="higher",
    compute=deferred("ganzoo_ocr.metrics:distinct_words"),
    versions=deferred("ganzoo_ocr.recogniser:versions"),
)
OCR_CONFIDENCE = MetricSpec(
    name="ocr-confidence",
    summary="mean confidence of the recogniser, 0 to 1; 0 for an image without text",
    better="higher",
    compute=deferred("ganzoo_ocr.metrics:confidence"),
    versions=deferred("ganzoo_ocr.recogniser:versions"),
)
OCR_TEXT_EXACT = MetricSpec(
    name="ocr-text-exact",
    summary="share of images that are read as the text that was asked for, ignoring case, 0 to 1",
    better="higher",
    compute=deferred("ganzoo_ocr.metrics:text_exact"),
    versions=deferred("ganzoo_ocr.recogniser:versions"),
)
OCR_TEXT_CER = MetricSpec(
    name="ocr-text-cer",
    summary="character error rate against the texts that were asked for: edits per character, ignoring case, from 0",
    better="lower",
    compute=deferred("ganzoo_ocr.metrics:text_character_error_rate"),
    versions=deferred("ganzoo_ocr.recogniser:versions"),
)
OCR_REAL_WORDS = MetricSpec(
    name="ocr-real-words",
    summary="ocr-words of the real images, a reference that is the same for every model",
    better="higher",
    compute=deferred("ganzoo_ocr.metrics:real_words"),
    versions=deferred("ganzoo_ocr.recogniser:versions"),
)
OCR_REAL_CONFIDENCE = MetricSpec(
    name="ocr-real-confidence",
    summary="ocr-confidence of the real images, a reference that is the same for every model",
    better="higher",
    compute=deferred("ganzoo_ocr.metrics:real_confidence"),
    versions=deferred("ganzoo_ocr.recogniser:versions"),
)
OCR_REAL_EXACT = MetricSpec(
    name="ocr-real-exact",
    summary="share of real images that are read correctly, ignoring case, 0 to 1",
    better="higher",
    compute=deferred("ganzoo_ocr.metrics:real_exact"),
    versions=deferred("ganzoo_ocr.recogniser:versions"),
)
OCR_REAL_CER = MetricSpec(
    name="ocr-real-cer",
    summary="character error rate on the real images: edits per written character, ignoring case, from 0",
    better="lower",
    compute=deferred("ganzoo_ocr.metrics:real_character_error_rate"),
    versions=deferred("ganzoo_ocr.recogniser:versions"),
)
