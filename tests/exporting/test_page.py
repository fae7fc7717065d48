"""The static page: its random numbers are torch's, and what it runs on is pinned."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import stat
import subprocess
import tarfile
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch

from ganzoo.errors import DigestMismatchError, MissingWeightsError, UsageError
from ganzoo.exporting import runtime
from ganzoo.exporting.folder import _PAGE
from ganzoo.randomness import interpolate_latents, noise_batches, sample_latents
from ganzoo.specs import LatentSpec
from ganzoo.validation import plain

SPECS = [
    LatentSpec(dim=100),
    LatentSpec(dim=3, grid=(2, 5)),
    LatentSpec(dim=7, distribution="uniform"),
    LatentSpec(dim=9, distribution="truncated_normal"),
    LatentSpec(dim=9, distribution="truncated_normal", truncation=0.5),
    LatentSpec(dim=5, distribution="categorical"),
    LatentSpec(dim=4, grid=(3,), distribution="categorical"),
]
SEEDS = (0, 2**40 + 7)

SCRIPT = """
import { latents, noise, between } from "./random.js";
const { specs, seeds } = JSON.parse(process.argv[2]);
const results = specs.map((spec) => seeds.map((seed) => {
  const a = latents(spec, 16, seed), b = latents(spec, 16, seed + 1), length = a.length / 16;
  const row = (values, i) => values.slice(i * length, (i + 1) * length);
  return { latents: [...a], middle: [...between(spec, row(a, 2), row(b, 2), 0.3)] };
}));
console.log(JSON.stringify({ results, noise: [...noise("to_rgb", [3, 5], 3, 11)] }));
"""


def test_the_page_draws_the_latents_and_noise_of_a_seed_that_torch_draws(tmp_path: Path) -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("Node.js is not installed")
    shutil.copy(_PAGE / "random.js", tmp_path)
    (tmp_path / "package.json").write_text('{"type": "module"}')
    (tmp_path / "script.js").write_text(SCRIPT)
    given = json.dumps({"specs": [plain(spec) for spec in SPECS], "seeds": SEEDS})
    done = subprocess.run(
        [node, "script.js", given], cwd=tmp_path, capture_output=True, text=True, check=True, timeout=60
    )
    found = json.loads(done.stdout)
    for spec, results in zip(SPECS, found["results"], strict=True):
        for seed, result in zip(SEEDS, results, strict=True):
            first, second = (sample_latents(spec, 16, one) for one in (seed, seed + 1))
            assert torch.allclose(torch.tensor(result["latents"]).float().view_as(first), first, atol=1e-5), spec
            middle = interpolate_latents(spec, first[2:3], second[2:3], 0.3)
            assert torch.allclose(torch.tensor(result["middle"]).float().view_as(middle), middle, atol=1e-5), spec
    (noise,) = noise_batches({"to_rgb": (3, 5)}, 3, 11, 3)
    assert torch.allclose(torch.tensor(found["noise"]).view(3, 3, 5), noise["to_rgb"], atol=1e-5)


def test_the_page_loads_nothing_from_elsewhere() -> None:
    for path in _PAGE.iterdir():
        text = path.read_text(encoding="utf-8")
        assert "http:" not in text
        assert "https:" not in text
        assert "innerHTML" not in text  # names of the model are text, never markup


def package(path: Path, contents: Mapping[str, bytes]) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for name, content in contents.items():
            member = tarfile.TarInfo(f"package/dist/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


@pytest.fixture
def pinned(monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    """Two small files in place of the pinned ones."""
    contents = {name: f"content of {name}".encode() for name in runtime.FILES}
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}
    monkeypatch.setattr(runtime, "FILES", digests)
    return contents


def test_the_runtime_is_read_from_a_package_or_its_folder(pinned: dict[str, bytes], tmp_path: Path) -> None:
    assert runtime.runtime_files(package(tmp_path / "ort.tgz", pinned)) == pinned
    (tmp_path / "ort" / "dist").mkdir(parents=True)
    for name, content in pinned.items():
        (tmp_path / "ort" / "dist" / name).write_bytes(content)
    assert runtime.runtime_files(tmp_path / "ort") == pinned


def test_a_runtime_with_other_bytes_is_refused(pinned: dict[str, bytes], tmp_path: Path) -> None:
    name = next(iter(pinned))
    with pytest.raises(DigestMismatchError, match=name):
        runtime.runtime_files(package(tmp_path / "ort.tgz", {**pinned, name: b"other"}))


def test_a_runtime_that_lacks_a_file_or_is_no_package_is_refused(pinned: dict[str, bytes], tmp_path: Path) -> None:
    name = next(iter(pinned))
    with pytest.raises(UsageError, match="has no dist/"):
        runtime.runtime_files(package(tmp_path / "ort.tgz", {name: pinned[name]}))
    (tmp_path / "text.tgz").write_text("not a package")
    with pytest.raises(UsageError, match="is not an npm package"):
        runtime.runtime_files(tmp_path / "text.tgz")
    with pytest.raises(UsageError, match=r"missing\.tgz"):
        runtime.runtime_files(tmp_path / "missing.tgz")


def npm(folder: Path, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put a program named npm alone on the path."""
    program = folder / "npm"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}/bin{os.pathsep}/usr/bin")


def test_npm_gets_the_runtime_and_its_failure_is_one_line(
    pinned: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packed = package(tmp_path / "packed.tgz", pinned)
    npm(tmp_path, f'[ "$1 $2" = "pack {runtime.PACKAGE}" ] && cp "{packed}" here.tgz', monkeypatch)
    assert runtime.runtime_files() == pinned
    npm(tmp_path, "echo 'npm error code ENOTFOUND' >&2; exit 1", monkeypatch)
    with pytest.raises(MissingWeightsError, match="ENOTFOUND") as caught:
        runtime.runtime_files()
    assert "--runtime" in caught.value.hint
    monkeypatch.setenv("PATH", str(tmp_path / "nowhere"))
    with pytest.raises(MissingWeightsError, match="npm is not installed"):
        runtime.runtime_files()
