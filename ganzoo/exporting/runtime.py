"""onnxruntime-web, the program that runs ONNX in a browser: two files of its npm package, pinned by sha256."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path

from ganzoo.errors import DigestMismatchError, GanzooError, MissingWeightsError, UsageError, hint_for, shortened
from ganzoo.system.files import expanded, read_regular, scratch_folder

VERSION = "1.30.0"
PACKAGE = f"onnxruntime-web@{VERSION}"
FILES: Mapping[str, str] = {
    "ort.wasm.bundle.min.mjs": "11e64bd8ffe11bd1a2a2f0d6275fdfbbba7262f0b76b99b53d228a8a22ef3d90",
    "ort-wasm-simd-threaded.wasm": "3398c10d07d229bd91b364548e130e0e51a8e5704b88c7c083ebbeb78842dee2",
}
"""File in the package's folder `dist` -> sha256. This pair computes on the CPU, in one thread, on any browser since
2021, without headers that a plain file server does not send."""

_MAX_BYTES = 64 << 20
_SECONDS = 600
_HOW_TO_GET = f"On a machine with network, run `npm pack {PACKAGE}`, and pass the file with --runtime."


def runtime_files(place: Path | None = None) -> dict[str, bytes]:
    """Return the files by name, each with the pinned sha256.

    Args:
        place: a .tgz of `npm pack`, or the folder of the package (`node_modules/onnxruntime-web`). None asks npm, which
            keeps what it has downloaded: the second time works without network.

    Raises UsageError for a place without them, MissingWeightsError when npm is missing or cannot download,
    DigestMismatchError for other contents.
    """
    if place is not None:
        return _read(expanded(place))
    npm = shutil.which("npm")
    if npm is None:
        raise MissingWeightsError(f"the page needs {PACKAGE}, and npm is not installed.", hint=_HOW_TO_GET)
    with scratch_folder() as folder:
        command = [npm, "pack", PACKAGE, "--prefer-offline", "--ignore-scripts", "--silent"]
        try:
            done = subprocess.run(
                command, cwd=folder, capture_output=True, text=True, timeout=_SECONDS, check=False, encoding="utf-8"
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise MissingWeightsError(f"npm failed: {shortened(error)}.", hint=_HOW_TO_GET) from error
        packed = next(folder.glob("*.tgz"), None)
        if done.returncode or packed is None:
            reason = shortened(done.stderr.strip() or f"exit code {done.returncode}")
            raise MissingWeightsError(f"npm cannot download {PACKAGE}: {reason}.", hint=_HOW_TO_GET)
        return _read(packed)


def _read(place: Path) -> dict[str, bytes]:
    try:
        if place.is_dir():
            found = _checked(place, lambda name: read_regular(place / "dist" / name, _MAX_BYTES))
        else:
            with tarfile.open(place) as archive:
                found = _checked(place, lambda name: _member(archive, name))
    except (tarfile.TarError, EOFError) as error:
        raise UsageError(f"{place} is not an npm package: {shortened(error)}.", hint=_HOW_TO_GET) from error
    except OSError as error:
        raise UsageError(f"{error.filename or place}: {error.strerror}.", hint=hint_for(error)) from error
    return found


def _member(archive: tarfile.TarFile, name: str) -> bytes:
    try:
        member = archive.getmember(f"package/dist/{name}")
    except KeyError:
        raise UsageError(f"{archive.name} has no dist/{name}.", hint=_HOW_TO_GET) from None
    file = archive.extractfile(member) if member.size <= _MAX_BYTES else None
    if file is None:
        raise GanzooError(f"{archive.name}: dist/{name} is not a file of a usual size.", hint=_HOW_TO_GET)
    return file.read()


def _checked(place: Path, read: Callable[[str], bytes]) -> dict[str, bytes]:
    files = {name: read(name) for name in FILES}
    for name, sha256 in FILES.items():
        found = hashlib.sha256(files[name]).hexdigest()
        if found != sha256:
            raise DigestMismatchError(
                f"{place} (dist/{name})",
                expected=f"sha256 {sha256} ({PACKAGE})",
                found=f"sha256 {found}",
                hint=_HOW_TO_GET,
            )
    return files
