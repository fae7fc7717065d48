"""The weights of the 2015 Inception: found or downloaded, and identified by digest.

Files are safetensors or `.pth`; a `.pth` is a pickle, of which only tensors are accepted (`weights_only`).
"""

from __future__ import annotations

import hashlib
import io
import os
import secrets
import sys
import time
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from urllib.request import urlopen

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_safetensors
from torch import Tensor

from ganzoo.errors import EvaluationError

VARIABLE = "GANZOO_INCEPTION_WEIGHTS"
NAME = "weights-inception-2015-12-05-6726825d.pth"
URL = f"https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/{NAME}"
OTHER_NAME = "pt_inception-2015-12-05-6726825d.pth"
"""pytorch-fid's name for the same file in torch hub's cache."""

FILE_SHA256 = "6726825d"
"""Start of the official file's sha256, as in its name."""
CONTENT_SHA256 = "c9ce7f36d5ee9536ecde7e5b5b679a59d152a85abff7981e0d6c0e5d706e3557"
"""`content_sha256` of the official values, whatever the file format."""

SECONDS = 20.0
"""Timeout of each read of the download."""
TOTAL_SECONDS = 3600.0
"""Time limit of the whole download."""
MAX_BYTES = 200_000_000
"""Limit of the file; the official one has less than half of it."""

HOW_TO_GET = f"Download {URL} on any machine, and set {VARIABLE} to the file."


@dataclass(frozen=True, kw_only=True)
class Weights:
    """The contents of a file."""

    path: Path
    """Where it was found."""
    tensors: Mapping[str, Tensor]
    """Under torch-fidelity's names; `fc.weight` [1008, 2048] and `fc.bias` [1008] only when there is a final layer."""
    sha256: str
    """Of the values without the final layer, `content_sha256`."""
    pinned: bool
    """Whether this is the official file or has the same values."""

    @property
    def has_classifier(self) -> bool:
        """Whether the file has the final layer."""
        return "fc.weight" in self.tensors


def find(folder: Path) -> Weights:
    """Return the weights from GANZOO_INCEPTION_WEIGHTS, else from torch hub's cache, else from `folder`.

    If there are none, they are downloaded into `folder`. Only the file in GANZOO_INCEPTION_WEIGHTS may differ from the
    official values. Raises EvaluationError.
    """
    named = os.environ.get(VARIABLE)
    if named:
        return read(Path(named).expanduser(), f"Set {VARIABLE} to the Inception weights: {URL}")
    path = _found(folder)
    if path is None:
        path = folder / NAME
        download(URL, path)
    weights = read(path, f"Delete {path} to download it again.")
    if not weights.pinned:
        raise EvaluationError(
            f"{path} does not hold the Inception weights of 2015-12-05: it is damaged, or another network's.",
            hint=f"Delete it to download it again, or set {VARIABLE} to the right file.",
        )
    return weights


def at_hand(folder: Path) -> bool:
    """Whether `find` has a file to read, without a download."""
    return bool(os.environ.get(VARIABLE)) or _found(folder) is not None


def _found(folder: Path) -> Path | None:
    checkpoints = Path(torch.hub.get_dir()) / "checkpoints"
    places = [checkpoints / NAME, checkpoints / OTHER_NAME, folder / NAME]
    return next((place for place in places if place.exists()), None)


def read(path: Path, hint: str) -> Weights:
    """Read a .safetensors or .pth file. Raises EvaluationError."""
    try:
        if not path.is_file():
            raise EvaluationError(f"{path} is not a file.", hint=hint)  # reading a FIFO could block forever
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise EvaluationError(f"cannot read {path}: {error.strerror}.", hint=hint) from error
    if len(content) > MAX_BYTES:
        raise EvaluationError(f"{path} has more than {MAX_BYTES:,} bytes.", hint=hint)
    tensors = _parse(content, path, hint)
    if not all(tensor.isfinite().all() for tensor in tensors.values()):
        raise EvaluationError(f"{path} is damaged: it holds NaN or infinite values.", hint=hint)
    found = content_sha256(tensors)
    official = hashlib.sha256(content).hexdigest().startswith(FILE_SHA256)
    # Some files have zeros in place of the final layer, for readers that require one. The digest does not cover that
    # layer, so beside the official values it is trusted only in the official file.
    whole = {"fc.weight", "fc.bias"} <= tensors.keys() and bool(tensors["fc.weight"].any())
    if not whole or (found == CONTENT_SHA256 and not official):
        tensors = {name: tensor for name, tensor in tensors.items() if not name.startswith("fc.")}
    return Weights(path=path, tensors=tensors, sha256=found, pinned=official or found == CONTENT_SHA256)


def _parse(content: bytes, path: Path, hint: str) -> dict[str, Tensor]:
    try:
        # A safetensors file starts with the length of its header in 8 bytes, the first of which may look like a pickle.
        if content[8:9] != b"{" and content.startswith((b"PK\x03\x04", b"\x80")):
            if content.startswith(b"PK"):  # torch stores the members as they are; a compressed one could be of any size
                with zipfile.ZipFile(io.BytesIO(content)) as archive:
                    assert not any(member.compress_type for member in archive.infolist())
            tensors = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
        else:
            tensors = load_safetensors(content)
    except SafetensorError as error:
        raise EvaluationError(f"{path} is neither safetensors nor a .pth file: {error}.", hint=hint) from error
    except Exception as error:  # a damaged pickle raises nearly anything
        raise EvaluationError(f"{path} cannot be read as a .pth file of tensors: it is damaged.", hint=hint) from error
    if not isinstance(tensors, Mapping) or not all(
        isinstance(name, str) and isinstance(tensor, Tensor) for name, tensor in tensors.items()
    ):
        raise EvaluationError(f"{path} does not contain named tensors.", hint=hint)
    return {name: tensor for name, tensor in tensors.items() if not name.endswith(".num_batches_tracked")}


def content_sha256(tensors: Mapping[str, Tensor]) -> str:
    """Return the digest of names and raw bytes, sorted by name, without the final layer.

    Files with and without that layer give the same features, and so have the same digest.
    """
    digest = hashlib.sha256()
    for name in sorted(tensors):
        if not name.startswith("fc."):
            digest.update(name.encode())
            digest.update(tensors[name].contiguous().flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()


def download(url: str, path: Path, *, sha256: str = FILE_SHA256) -> None:
    """Download a file whose sha256 starts as given, completely or not at all. Raises EvaluationError within seconds."""
    if os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE"):
        raise EvaluationError(
            "the Inception weights are not on this machine, and HF_HUB_OFFLINE forbids downloads.", hint=HOW_TO_GET
        )
    print(f"Downloading the Inception weights (95 MB) into {path.parent}.", file=sys.stderr)
    partial = path.with_name(f".{path.name}.{secrets.token_hex(8)}.partial")
    digest, size, end = hashlib.sha256(), 0, time.monotonic() + TOTAL_SECONDS
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with urlopen(url, timeout=SECONDS) as answer, partial.open("xb") as file:
            # read1 returns what has arrived: a whole block of a server that sends a byte now and then takes days.
            while (block := answer.read1(1 << 20)) and size <= MAX_BYTES:
                if time.monotonic() > end:
                    raise TimeoutError(f"it takes longer than {TOTAL_SECONDS:,.0f} s")
                digest.update(block)
                size += len(block)
                file.write(block)
        if not digest.hexdigest().startswith(sha256):
            raise EvaluationError(f"{url} sent another file, or only part of it.", hint=HOW_TO_GET)
        partial.replace(path)
    except (OSError, HTTPException) as error:
        reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or error
        raise EvaluationError(
            f"the Inception weights are not on this machine and cannot be downloaded: {reason}.", hint=HOW_TO_GET
        ) from error
    finally:
        partial.unlink(missing_ok=True)
