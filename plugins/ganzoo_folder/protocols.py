"""How models of a folder of pictures are evaluated, whatever its size, its settings and the number of its pictures.

The numbers of two folders, or of two settings of one folder, are not comparable: the digest in a report covers both.
"""

from __future__ import annotations

from ganzoo.specs import EvaluationProtocol

PROTOCOLS = (
    # For a CPU: some minutes for the samples, and once more for the real images. Works from a dozen of them:
    # `kid-all` is unbiased for any number, which FID is not.
    EvaluationProtocol(
        name="folder-kid-v1",
        metrics=(
            "kid-all",
            "inception-precision",
            "inception-recall",
            "inception-density",
            "inception-coverage",
            "inception-authenticity",
        ),
        num_samples=2_000,
        seeds=(0,),
        split="train",
        dataset_config=None,
        num_real=10_000,
    ),
    # Few images on either side bias FID upwards, and below 2,049 its covariances are singular; KID has neither problem.
    EvaluationProtocol(
        name="folder-fid-v1",
        metrics=("fid", "kid-all", "inception-authenticity"),
        num_samples=10_000,
        seeds=(0,),
        split="train",
        dataset_config=None,
        num_real=50_000,
        min_real=5_000,
    ),
    # For --eval-every. The first metric decides which weights are kept as the best.
    EvaluationProtocol(
        name="folder-quick-v1",
        metrics=("kid-all", "inception-coverage", "inception-authenticity"),
        num_samples=500,
        seeds=(0,),
        split="train",
        dataset_config=None,
        num_real=2_000,
        use="training",
    ),
)
"""The protocols of the dataset `folder`; the first is its default."""
