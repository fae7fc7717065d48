"""What a text recogniser reads in word images: of generated ones, and of the real ones as the line to reach.

The images are grey, 32 × 128, one word each. What is read is compared in lower case and without spaces. The recogniser
is PP-OCRv6 (small) from the rapidocr package, held to one sha256; it needs no network. Install it with the `ocr` extra.
"""

from __future__ import annotations

from ganzoo.deferred import deferred
from ganzoo.specs import MetricSpec

OCR_WORDS = MetricSpec(
    name="ocr-words",
    summary="share of the images that are read as a word of the dataset, upper and lower case alike, 0 to 1",
    better="higher",
    compute=deferred("ganzoo_ocr.metrics:words"),
    versions=deferred("ganzoo_ocr.recogniser:versions"),
)
OCR_DISTINCT_WORDS = MetricSpec(
    name="ocr-distinct-words",
    summary="different words of the dataset that are read, over the number of images: both legible and varied, 0 to 1",
    better="higher",
    compute=deferred("ganzoo_ocr.metrics:distinct_words"),
    versions=deferred("ganzoo_ocr.recogniser:versions"),
)
OCR_CONFIDENCE = MetricSpec(
    name="ocr-confidence",
    summary="mean confidence of the recogniser, 0 to 1; 0 for an image in which it reads nothing",
    better="higher",
    compute=deferred("ganzoo_ocr.metrics:confidence"),
    versions=deferred("ganzoo_ocr.recogniser:versions"),
)
OCR_REAL_WORDS = MetricSpec(
    name="ocr-real-words",
    summary="ocr-words of the real images: the line to reach, the same for every model",
    better="higher",
    compute=deferred("ganzoo_ocr.metrics:real_words"),
    versions=deferred("ganzoo_ocr.recogniser:versions"),
)
OCR_REAL_CONFIDENCE = MetricSpec(
    name="ocr-real-confidence",
    summary="ocr-confidence of the real images: the line to reach, the same for every model",
    better="higher",
    compute=deferred("ganzoo_ocr.metrics:real_confidence"),
    versions=deferred("ganzoo_ocr.recogniser:versions"),
)
OCR_REAL_EXACT = MetricSpec(
    name="ocr-real-exact",
    summary="share of the real images that are read as what is written on them, upper and lower case alike, 0 to 1",
    better="higher",
    compute=deferred("ganzoo_ocr.metrics:real_exact"),
    versions=deferred("ganzoo_ocr.recogniser:versions"),
)
OCR_REAL_CER = MetricSpec(
    name="ocr-real-cer",
    summary="character error rate on the real images: edits for each written character, case ignored, 0 upwards",
    better="lower",
    compute=deferred("ganzoo_ocr.metrics:real_character_error_rate"),
    versions=deferred("ganzoo_ocr.recogniser:versions"),
)
