"""Signatures over all files of a model, made and checked with a pair of elliptic-curve keys (extra `sign`).

The digests in a manifest fix the bytes. A signature says who vouches for them, also for repositories that no manifest
lists.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ganzoo.errors import UsageError, WeightsError
from ganzoo.system.files import scratch_folder


def sign(files: Mapping[str, bytes], private_key: Path) -> bytes:
    """Return a signature over the names and contents of files. Raises UsageError when the key cannot sign."""
    signing, _ = _library()
    with _folder(files) as folder:
        try:
            signing.Config().use_elliptic_key_signer(private_key=private_key).sign(
                folder / "files", folder / "signature"
            )
        except (OSError, ValueError, TypeError, AttributeError) as error:
            raise UsageError(f"cannot sign with {private_key}: {_short(error)}", hint=_KEY_HINT) from error
        return (folder / "signature").read_bytes()


def check(files: Mapping[str, bytes], signature: bytes, public_key: Path, where: str) -> None:
    """Check a signature over files. Raises WeightsError when it does not match, UsageError for an unreadable key."""
    _, verifying = _library()
    with _folder(files) as folder:
        (folder / "signature").write_bytes(signature)
        try:
            verifier = verifying.Config().use_elliptic_key_verifier(public_key=public_key)
        except (OSError, ValueError, TypeError, AttributeError) as error:
            raise UsageError(f"{public_key} is not a public key: {_short(error)}", hint=_KEY_HINT) from error
        try:
            verifier.verify(folder / "files", folder / "signature")
        except Exception as error:  # the library raises many kinds
            raise WeightsError(
                f"{where} is not what the owner of {public_key} signed: {_short(error)}",
                hint="Do not use it; ask its owner, or check that the key is theirs.",
            ) from error


_KEY_HINT = "Make a pair: openssl ecparam -name prime256v1 -genkey -noout -out key.pem; openssl ec -in key.pem -pubout"


def _library() -> tuple[Any, Any]:
    try:
        from model_signing import signing, verifying
    except ImportError as error:
        raise UsageError("signatures need the extra `sign`.", hint="pip install 'ganzoo[sign]'") from error
    return signing, verifying


def _short(error: Exception) -> str:
    text = " ".join(str(error).split())
    return text if len(text) <= 120 else f"{text[:117]}..."


@contextmanager
def _folder(files: Mapping[str, bytes]) -> Iterator[Path]:
    """Write files into a temporary folder: the library signs folders."""
    with scratch_folder() as scratch:
        folder = scratch / "files"
        folder.mkdir()
        for path, content in files.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(content)
        yield scratch
