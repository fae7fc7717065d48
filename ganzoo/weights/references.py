"""Names of weights: `mnist-mlp`, `mnist-mlp@v1`, `hf:owner/repo[@revision]`, or a folder."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from ganzoo.errors import BadReferenceError, shortened
from ganzoo.specs.registration import NAME

MAX_LENGTH = 4096
"""Characters of the longest path that Linux takes."""

_HUB_PART = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,94}[A-Za-z0-9])?")
_REVISION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,127}")
_HUB_PAGE = re.compile(
    r"(?:https?://)?(?:www\.)?(?:huggingface\.co|hf\.co)/(?P<repo>[^/@?#]+/[^/@?#]+)"
    r"(?:/(?:tree|blob|resolve)/(?P<revision>[^/?#]+)(?:/[^?#]*)?)?/?(?:[?#].*)?"
)
"""The address of a repository, as copied from a browser. Only the names are taken from it."""


@dataclass(frozen=True)
class ZooReference:
    """Weights that a manifest pins."""

    name: str
    version: str | None = None
    """None means the default version."""

    def __str__(self) -> str:
        return self.name if self.version is None else f"{self.name}@{self.version}"


@dataclass(frozen=True)
class HubReference:
    """A repository on the Hugging Face Hub that no manifest lists."""

    owner: str
    repo: str
    revision: str | None = None
    """Branch, tag or commit; None means the main branch."""

    @property
    def repo_id(self) -> str:
        """The name of the repository on the Hub."""
        return f"{self.owner}/{self.repo}"

    def __str__(self) -> str:
        return f"hf:{self.repo_id}" + (f"@{self.revision}" if self.revision else "")


@dataclass(frozen=True)
class FolderReference:
    """A run, or any folder with a config.json and a model.safetensors."""

    path: Path

    def __str__(self) -> str:
        return str(self.path)


Reference = ZooReference | HubReference | FolderReference


def parse_reference(text: str | os.PathLike[str]) -> Reference:
    """Parse a reference. A path object, or a text with a separator or a leading dot, is a folder.

    Raises BadReferenceError.
    """
    if not isinstance(text, str):
        return FolderReference(Path(text))
    if len(text) > MAX_LENGTH:
        raise BadReferenceError(f"{shortened(text)!r} is too long for a reference.", hint="Use a shorter path.")
    if "\0" in text:
        raise BadReferenceError(f"{shortened(text)!r} has a zero byte in it.", hint="No file has such a name.")
    if text.startswith("hf:"):
        return parse_hub_reference(text)
    if page := _HUB_PAGE.fullmatch(text):
        return parse_hub_reference(page["repo"] + (f"@{page['revision']}" if page["revision"] else ""))
    if text.startswith((".", "~")) or "/" in text or os.sep in text:
        try:
            return FolderReference(Path(text).expanduser())
        except RuntimeError as error:  # ~nobody
            raise BadReferenceError(
                f"{shortened(text)!r}: {shortened(error).rstrip('.')}.", hint="Write the whole path of the folder."
            ) from error
    name, at, version = text.partition("@")
    if NAME.fullmatch(name) is None or (at and NAME.fullmatch(version) is None):
        hint = "Use a name (mnist-mlp, mnist-mlp@v1), a Hub repository (hf:owner/repo) or a folder (./my-run)."
        if text != text.lower() and NAME.fullmatch(name.lower()) and not Path(text).suffix:
            hint = f"Names are lower case: {text.lower()}; for a folder write ./{text}"
        raise BadReferenceError(f"{shortened(text)!r} is not a reference to weights.", hint=hint)
    return ZooReference(name, version or None)


def parse_hub_reference(text: str) -> HubReference:
    """Parse `hf:owner/repo[@revision]`. Raises BadReferenceError."""
    path, _, revision = text.removeprefix("hf:").removeprefix("//").partition("@")
    parts = path.split("/")
    # The Hub allows neither ".." nor "--" in names, and the store writes owner--repo.
    well_formed = len(parts) == 2 and all(
        _HUB_PART.fullmatch(part) and ".." not in part and "--" not in part for part in parts
    )
    if not well_formed or ("@" in text and (_REVISION.fullmatch(revision) is None or ".." in revision)):
        raise BadReferenceError(
            f"{shortened(text)!r} is not a Hub repository.", hint="Use hf:owner/repo or hf:owner/repo@revision."
        )
    return HubReference(parts[0], parts[1], revision or None)
