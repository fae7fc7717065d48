"""A reference -> a folder with the exported generator, its description, and a program that uses it."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import torch

from ganzoo.errors import StoreError, UsageError, hint_for
from ganzoo.exporting.examples import example
from ganzoo.exporting.programs import (
    Parity,
    compare,
    input_names,
    input_tensors,
    onnx_bytes,
    run_onnx,
    run_torch,
    torch_bytes,
    torch_program,
)
from ganzoo.exporting.runtime import PACKAGE, runtime_files
from ganzoo.model import GAN, gan_from_bytes
from ganzoo.sources import resolve
from ganzoo.system.extras import import_extra
from ganzoo.system.files import contents, expanded, whole_folder
from ganzoo.validation import plain
from ganzoo.version import __version__
from ganzoo.weights.building import num_parameters, sampling_options

if TYPE_CHECKING:
    from ganzoo.hub.client import Access

Format = Literal["onnx", "torch", "web"]
FORMATS: tuple[Format, ...] = get_args(Format)

DESCRIPTION_NAME, EXAMPLE_NAME = "export.json", "example.py"
_FILE_NAMES = {"onnx": "generator.onnx", "web": "generator.onnx", "torch": "generator.pt2"}
_PAGE = Path(__file__).parent / "page"


@dataclass(frozen=True)
class Exported:
    """What `export` wrote."""

    path: Path
    """The folder."""
    reference: str
    """Pinned, where the reference has a version or a commit."""
    format: Format
    file: Path
    """The exported generator."""
    num_files: int
    size: int
    """Bytes of all files."""
    sha256: str
    """Of the exported generator."""
    parity: Parity


def export(
    reference: str | os.PathLike[str] | GAN,
    format: Format = "onnx",  # noqa: A002 - the name of the option
    *,
    out: str | os.PathLike[str] | None = None,
    options: Mapping[str, Any] | None = None,
    runtime: str | os.PathLike[str] | None = None,
    access: Access | None = None,
) -> Exported:
    """Write a generator so that it runs without ganzoo, with a dynamic batch; the whole folder or nothing.

        ganzoo.export("mnist-mlp", "onnx")     # mnist-mlp-onnx/generator.onnx, export.json, example.py

    The file is read back and its samples are compared with those of the generator: they differ by at most 1e-4.
    `export.json` has this difference, the inputs with their shapes, and what the latents and samples are.

    Args:
        reference: what `ganzoo.load` takes, or a loaded model.
        format: `onnx`, `torch` (a .pt2 of torch.export, loaded without ganzoo), or `web` (a page that runs the
            generator in the browser, with onnxruntime-web beside it; any file server serves it).
        out: the folder, which must not exist or be empty; None: NAME-FORMAT.
        options: sampling options of the architecture; they are constants of the file.
        runtime: for `web`: a .tgz of `npm pack onnxruntime-web@…` or the package's folder; None asks npm.
        access: as for `ganzoo.load`.

    Raises:
        UsageError: an unknown format or option, a folder that is not empty, a generator that cannot be traced, a page
            of tensors, or a package of the extra `export` that is missing.
        GanzooError: what loading raises, and samples that differ.
    """
    if format not in FORMATS:
        raise UsageError(f"unknown format {format!r}.", hint=f"Choose {', '.join(FORMATS)}.")
    if isinstance(reference, GAN):
        gan, metrics, license_ = reference, [], None
        name = str(gan.entry.reference if gan.entry is not None else gan.config.recipe)
    else:
        source = resolve(reference, access)
        gan = gan_from_bytes(source.read("config"), source.read("generator"), source.reference, source.entry)
        name, metrics, license_ = source.reference, list(source.metrics), source.license
    folder = Path(f"{_plain_name(gan)}-{format}") if out is None else expanded(out)
    if folder.exists() and (not folder.is_dir() or contents(folder)):
        raise UsageError(f"{folder} already exists and is not empty.", hint="Name another folder with --out.")
    if format == "web" and gan.config.sample.kind == "tensor":
        raise UsageError("tensors are not drawn, so a page cannot show them.", hint="Use --format onnx.")
    page = _page(runtime) if format == "web" else {}  # first: what is missing is reported before the long work

    gan = gan.to("cpu")
    chosen = sampling_options(gan.config, options)
    program = torch_program(gan, chosen)
    pinned = {"ganzoo.reference": name, "ganzoo.weights_sha256": gan.weights_sha256 or ""}
    if format == "torch":
        content = torch_bytes(program)
        parity = compare(gan, chosen, run_torch(content))
    else:
        content = onnx_bytes(program, input_names(gan), pinned)
        parity = compare(gan, chosen, run_onnx(content))
    sha256 = hashlib.sha256(content).hexdigest()
    description = {
        "schema": 1,
        "reference": name,
        "weights_sha256": gan.weights_sha256,
        "format": format,
        "file": _FILE_NAMES[format],
        "size": len(content),
        "sha256": sha256,
        **_described(gan),
        "options": plain(chosen),
        "license": license_,
        "metrics": metrics,
        "parity": asdict(parity),
        "versions": _versions(format),
    }
    written = (json.dumps(description, indent=2) + "\n").encode()
    files = {_FILE_NAMES[format]: content, **page, DESCRIPTION_NAME: written}
    if format != "web":
        files[EXAMPLE_NAME] = example(format, gan).encode()
    _write(folder, files)
    size = sum(map(len, files.values()))
    return Exported(folder, name, format, folder / _FILE_NAMES[format], len(files), size, sha256, parity)


def _described(gan: GAN) -> dict[str, Any]:
    """Return what goes in and what comes out, and which nets they are, for export.json."""
    return {
        "inputs": _inputs(gan),
        "output": {
            "name": "samples",
            "dtype": "float32",
            "shape": ["batch", *gan.config.sample.shape],
            "range": [-1, 1] if gan.config.sample.kind == "image" else None,
        },
        "latent": plain(gan.config.latent),
        "sample": plain(gan.config.sample),
        "noise": {key: list(shape) for key, shape in gan.noise_shapes.items()},
        "recipe": gan.config.recipe,
        "architecture": gan.config.architecture,
        "dataset": gan.config.dataset,
        "parameters": num_parameters(gan.generator),
    }


def _write(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write the whole folder or nothing. Raises StoreError."""
    try:
        with whole_folder(folder) as partial:
            for path, data in files.items():
                target = partial / path
                target.parent.mkdir(exist_ok=True)
                target.write_bytes(data)
    except OSError as error:
        raise StoreError(f"cannot write to {folder}: {error.strerror}.", hint=hint_for(error)) from error


def _plain_name(gan: GAN) -> str:
    """Return a name for a folder; a recipe's name may come from an untrusted config.json."""
    name = gan.entry.name if gan.entry is not None else gan.config.recipe
    return re.sub(r"[^\w.-]+", "-", name)[:100].strip(".-") or "model"


def _inputs(gan: GAN) -> list[dict[str, Any]]:
    return [
        {"name": name, "dtype": str(tensor.dtype).removeprefix("torch."), "shape": ["batch", *tensor.shape[1:]]}
        for name, tensor in zip(input_names(gan), input_tensors(gan, 1, seed=0), strict=True)
    ]


def _page(runtime: str | os.PathLike[str] | None) -> dict[str, bytes]:
    """Return the files of the page: ours, and those of onnxruntime-web in a folder `ort`."""
    ours = {path.name: path.read_bytes() for path in sorted(_PAGE.iterdir()) if path.is_file()}
    theirs = runtime_files(None if runtime is None else Path(runtime))
    return ours | {f"ort/{name}": content for name, content in theirs.items()}


def _versions(format: Format) -> dict[str, str]:  # noqa: A002
    versions = {"ganzoo": __version__, "torch": torch.__version__}
    if format != "torch":
        versions |= {name: import_extra(name, "export").__version__ for name in ("onnx", "onnxruntime")}
    return versions | ({"page": PACKAGE} if format == "web" else {})
