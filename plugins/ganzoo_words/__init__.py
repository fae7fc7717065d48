"""The dataset words: unlimited word images that imitate MJSynth. Its recipes are in `ganzoo_words.recipes`."""

from __future__ import annotations

from pathlib import Path

from ganzoo.deferred import deferred
from ganzoo.specs import DatasetSpec, EvaluationProtocol, SampleSpec, SyntheticData, TextSpec


def _load(root: Path, split: str, download: bool) -> SyntheticData:
    return SyntheticData(
        draw=deferred("ganzoo_words.law:draw_images"),
        draw_texts=deferred("ganzoo_words.law:draw_texts"),
        vocabulary=deferred("ganzoo_words.lexicon:vocabulary"),
    )


TEXT = TextSpec(
    alphabet="ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
    max_length=14,
    examples=(
        "hello",
        "world",
        "Every",
        "WORD",
        "of",
        "this",
        "LIST",
        "Stands",
        "for",
        "one",
        "image",
        "that",
        "shows",
    ),
)
"""The longest words of the lexicon have 14 letters."""

WORDS = DatasetSpec(
    name="words",
    summary="grey 32 × 128 images of English words in twelve typefaces, drawn in the manner of MJSynth; unlimited",
    homepage="rendered on the fly; after Jaderberg et al. 2014, arXiv:1406.2227, section 2",
    license="none needed: computed, not collected; the typefaces are under the SIL Open Font License or Apache-2.0",
    sample=SampleSpec(kind="image", shape=(1, 32, 128), text=TEXT),
    splits={"train": None},
    load=_load,
    protocols=(
        EvaluationProtocol(
            name="words-ocr-v1",
            metrics=(
                "ocr-words",
                "ocr-distinct-words",
                "ocr-confidence",
                "ocr-real-words",
                "ocr-real-confidence",
                "ocr-real-exact",
                "ocr-real-cer",
            ),
            num_samples=1_000,
            seeds=(0, 1, 2),
            split="train",
            num_real=1_000,
        ),
        EvaluationProtocol(
            name="words-ocr-text-v1",
            metrics=("ocr-text-exact", "ocr-text-cer", "ocr-words", "ocr-confidence", "ocr-real-exact", "ocr-real-cer"),
            num_samples=1_000,
            seeds=(0, 1, 2),
            split="train",
            num_real=1_000,
        ),
        # 32 × 128 as padded or squeezed by the dataset's own rule; the Inception then stretches it to a square.
        EvaluationProtocol(
            name="words-fid10k-v1",
            metrics=("fid", "kid"),
            num_samples=10_000,
            seeds=(0,),
            split="train",
            num_real=10_000,
        ),
        EvaluationProtocol(
            name="words-ocr-quick-v1",
            metrics=("ocr-distinct-words", "ocr-confidence"),
            num_samples=200,
            seeds=(0,),
            split="train",
            num_real=200,
            use="training",
        ),
    ),
)
