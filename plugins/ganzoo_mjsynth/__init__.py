"""The dataset MJSynth. Its recipe is in `ganzoo_mjsynth.recipes`."""

from __future__ import annotations

from ganzoo.deferred import deferred
from ganzoo.specs import DatasetSpec, EvaluationProtocol, SampleSpec

MJSYNTH = DatasetSpec(
    name="mjsynth",
    summary="rendered English words in grey, scaled to height 32, padded with the last column or squeezed to width 128",
    homepage="https://www.robots.ox.ac.uk/~vgg/data/text/",
    license=(
        "none stated; its authors ask to cite Jaderberg et al. 2014, Synthetic Data and Artificial Neural Networks for "
        "Natural Scene Text Recognition, and Jaderberg et al. 2016, Reading Text in the Wild with Convolutional Neural "
        "Networks"
    ),
    sample=SampleSpec(kind="image", shape=(1, 32, 128)),
    splits={"train": 7_224_612, "val": 802_734, "test": 891_927},
    load=deferred("ganzoo_mjsynth.layouts:load"),
    protocols=(
        EvaluationProtocol(
            name="mjsynth-ocr-v1",
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
            split="test",
            num_real=1_000,
        ),
        # 32 × 128 as padded or squeezed by the dataset's own rule; the Inception then stretches it to a square.
        EvaluationProtocol(
            name="mjsynth-fid10k-v1",
            metrics=("fid", "kid"),
            num_samples=10_000,
            seeds=(0,),
            split="test",
            num_real=10_000,
        ),
        EvaluationProtocol(
            name="mjsynth-ocr-quick-v1",
            metrics=("ocr-distinct-words", "ocr-confidence"),
            num_samples=200,
            seeds=(0,),
            split="test",
            num_real=200,
            use="training",
        ),
    ),
)
