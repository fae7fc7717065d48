"""Repositories as data: files, commits and refs."""

from __future__ import annotations

import codecs
import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

LFS_LIMIT = 10 * 1024 * 1024
"""Bytes; a larger file always goes to LFS."""


@dataclass(frozen=True)
class File:
    """A file of a commit; an LFS file's content lies in a storage of its own."""

    content: bytes
    is_lfs: bool

    @classmethod
    def of(cls, path: str, content: bytes) -> File:
        return cls(content, goes_to_lfs(path, len(content), content))

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.content).hexdigest()

    @property
    def blob_id(self) -> str:
        """Git's SHA-1 of the content, or of the pointer to it."""
        blob = self.pointer if self.is_lfs else self.content
        return hashlib.sha1(b"blob %d\0" % len(blob) + blob).hexdigest()

    @property
    def pointer(self) -> bytes:
        size = len(self.content)
        return f"version https://git-lfs.github.com/spec/v1\noid sha256:{self.sha256}\nsize {size}\n".encode()

    @property
    def etag(self) -> str:
        return self.sha256 if self.is_lfs else self.blob_id


@dataclass(frozen=True)
class Commit:
    id: str
    parent: Commit | None
    title: str
    files: Mapping[str, File]


@dataclass
class Repository:
    id: str
    private: bool = False
    gated: bool = False
    commits: dict[str, Commit] = field(default_factory=dict)
    refs: dict[str, Commit] = field(default_factory=dict)
    """By full name: refs/heads/main, refs/tags/v1, refs/pr/1."""

    def __post_init__(self) -> None:
        self.commit({".gitattributes": b"*.safetensors filter=lfs diff=lfs merge=lfs -text\n"}, "initial commit")

    @property
    def tags(self) -> dict[str, str]:
        return self.refs_under("refs/tags/")

    @property
    def pull_requests(self) -> dict[str, str]:
        return self.refs_under("refs/pr/")

    def refs_under(self, prefix: str) -> dict[str, str]:
        """Return the ids of the commits that tags or branches name, by their short names."""
        return {name.removeprefix(prefix): commit.id for name, commit in self.refs.items() if name.startswith(prefix)}

    def head(self, revision: str = "main") -> Commit:
        """Return the commit of a branch, a tag, a full ref or an id. Raises KeyError if there is none."""
        for name in (f"refs/heads/{revision}", f"refs/tags/{revision}", revision):
            if name in self.refs:
                return self.refs[name]
        return self.commits[revision]

    def history(self, commit: Commit | None = None) -> list[Commit]:
        """Return a commit, by default that of main, and those before it."""
        commit = commit or self.head()
        return [commit, *(self.history(commit.parent) if commit.parent else ())]

    def commit(self, changes: Mapping[str, bytes | None], title: str, ref: str = "refs/heads/main") -> Commit:
        """Add or change files, or remove them (None), on top of main; the new commit is the ref's."""
        parent = self.refs.get("refs/heads/main")
        files = dict(parent.files) if parent else {}
        for path, content in changes.items():
            if content is None:
                del files[path]
            else:
                files[path] = File.of(path, content)
        commit = Commit(secrets.token_hex(20), parent, title, files)
        self.commits[commit.id] = self.refs[ref] = commit
        return commit

    def card(self, revision: str = "main") -> dict[str, Any]:
        """Return the metadata at the top of README.md."""
        readme = self.head(revision).files.get("README.md")
        parts = readme.content.decode().split("---\n", 2) if readme else []
        return yaml.safe_load(parts[1]) if len(parts) == 3 and not parts[0] else {}


def goes_to_lfs(path: str, size: int, sample: bytes) -> bool:
    """Whether the Hub wants a file as LFS: by its suffix or size, or because it is not text.

    The Hub does not store an empty file in LFS. The sample may end in the middle of a character.
    """
    if path.endswith(".safetensors") or size > LFS_LIMIT:
        return size > 0
    try:
        codecs.getincrementaldecoder("utf-8")().decode(sample)
    except UnicodeDecodeError:
        return True
    return b"\0" in sample
