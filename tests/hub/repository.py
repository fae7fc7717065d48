"""Repositories as data: files, commits and refs, with the very ids that git would give them."""

from __future__ import annotations

import codecs
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from itertools import pairwise

from .refusals import RefusalError, bad_request, entry_not_found, revision_not_found

REGULAR_LIMIT = 10 * 1024 * 1024
"""Bytes; a larger file has to go through LFS."""

LFS_PATTERNS = """
*.7z *.arrow *.bin *.bz2 *.ckpt *.ftz *.gz *.h5 *.joblib *.lfs.* *.mlmodel *.model *.msgpack *.npy *.npz *.onnx *.ot
*.parquet *.pb *.pickle *.pkl *.pt *.pth *.rar *.safetensors saved_model/**/* *.tar.* *.tar *.tflite *.tgz *.wasm *.xz
*.zip *.zst *tfevents*
"""

GITATTRIBUTES = "".join(f"{pattern} filter=lfs diff=lfs merge=lfs -text\n" for pattern in LFS_PATTERNS.split()).encode()
"""What every new repository of the Hub begins with."""


def git_id(kind: str, content: bytes) -> str:
    """Return git's SHA-1 of an object; kind is blob, tree or commit."""
    return hashlib.sha1(b"%s %d\0" % (kind.encode(), len(content)) + content).hexdigest()


@dataclass(frozen=True)
class File:
    """A file in a commit: its content, or the LFS pointer to it."""

    blob_id: str
    """Git's id of the content, or for LFS of the pointer."""
    size: int
    """Bytes of the content, not of the pointer."""
    content: bytes | None = None
    sha256: str | None = None
    """Of an LFS object; None for a regular file."""

    @classmethod
    def regular(cls, content: bytes) -> File:
        return cls(git_id("blob", content), len(content), content=content)

    @classmethod
    def pointer(cls, sha256: str, size: int) -> File:
        return cls(git_id("blob", pointer_text(sha256, size)), size, sha256=sha256)

    @property
    def etag(self) -> str:
        return self.sha256 or self.blob_id

    @property
    def pointer_size(self) -> int:
        return len(pointer_text(self.sha256 or "", self.size))


def pointer_text(sha256: str, size: int) -> bytes:
    return f"version https://git-lfs.github.com/spec/v1\noid sha256:{sha256}\nsize {size}\n".encode()


@dataclass(frozen=True)
class Commit:
    """A snapshot of all files, with what led to it."""

    id: str
    parent: str | None
    files: Mapping[str, File]
    title: str
    description: str
    author: str
    date: datetime

    @classmethod
    def of(cls, files: Mapping[str, File], parent: str | None, title: str, description: str, author: str) -> Commit:
        date = datetime.now(UTC).replace(microsecond=0)
        who = f"{author} <{author}@users.noreply.huggingface.co> {int(date.timestamp())} +0000"
        lines = [f"tree {folder_ids(files)['']}", *([f"parent {parent}"] if parent else [])]
        message = f"{title}\n\n{description}" if description else title
        text = "\n".join([*lines, f"author {who}", f"committer {who}", "", message]) + "\n"
        return cls(git_id("commit", text.encode()), parent, dict(files), title, description, author, date)

    @property
    def isodate(self) -> str:
        return self.date.strftime("%Y-%m-%dT%H:%M:%S.000Z")

    def file(self, path: str) -> File:
        if path not in self.files:
            raise entry_not_found("Entry not found", self.id)
        return self.files[path]


def folder_ids(files: Mapping[str, File]) -> dict[str, str]:
    """Return git's tree id of every folder; the root is ''."""
    entries: dict[str, dict[str, tuple[str, str]]] = {"": {}}
    for path, file in files.items():
        folder, _, name = path.rpartition("/")
        entries.setdefault(folder, {})[name] = ("100644", file.blob_id)
        while folder:
            folder = folder.rpartition("/")[0]
            entries.setdefault(folder, {})
    ids = {}
    for folder in sorted(entries, key=lambda folder: folder.count("/") + bool(folder), reverse=True):
        ids[folder] = git_id("tree", _tree(entries[folder]))
        if folder:
            above, _, name = folder.rpartition("/")
            entries[above][name] = ("40000", ids[folder])
    return ids


def _tree(entries: Mapping[str, tuple[str, str]]) -> bytes:
    in_gits_order = sorted(entries.items(), key=lambda item: item[0] + ("/" if item[1][0] == "40000" else ""))
    return b"".join(f"{mode} {name}\0".encode() + bytes.fromhex(id_) for name, (mode, id_) in in_gits_order)


@dataclass
class Repository:
    """One repository: its commits and refs, and who may see it."""

    kind: str
    """models, datasets or spaces."""
    id: str
    objects: dict[str, bytes] = field(repr=False)
    """LFS contents by sha256, shared by the whole hub."""
    private: bool = False
    gated: bool | str = False
    """False, "auto" or "manual"."""
    granted: set[str] = field(default_factory=set)
    """Users who may read the files of this gated repository."""
    extra_tags: tuple[str, ...] = ()
    metadata: dict[str, object] = field(default_factory=dict)
    """Keys of the repository's info that no card says, such as downloads."""
    commits: dict[str, Commit] = field(default_factory=dict)
    refs: dict[str, str] = field(default_factory=dict)
    """Commits by full name: refs/heads/main, refs/tags/v1, refs/pr/1."""

    def __post_init__(self) -> None:
        if not self.refs:
            self.commit({".gitattributes": File.regular(GITATTRIBUTES)}, "refs/heads/main", "initial commit")

    @property
    def owner(self) -> str:
        return self.id.split("/")[0]

    @property
    def branches(self) -> dict[str, str]:
        return self._refs_under("refs/heads/")

    @property
    def tags(self) -> dict[str, str]:
        return self._refs_under("refs/tags/")

    @property
    def pull_requests(self) -> dict[str, str]:
        return self._refs_under("refs/pr/")

    def _refs_under(self, prefix: str) -> dict[str, str]:
        return {name.removeprefix(prefix): commit for name, commit in self.refs.items() if name.startswith(prefix)}

    def head(self, revision: str = "main") -> Commit:
        """Return the commit that a branch, a tag, a full ref or a 40-hex id names."""
        for name in (f"refs/heads/{revision}", f"refs/tags/{revision}", revision):
            if name in self.refs:
                return self.commits[self.refs[name]]
        if revision not in self.commits:
            raise revision_not_found(revision)
        return self.commits[revision]

    def writable_ref(self, revision: str) -> str:
        """Return the full name of a branch or pull request; tags and commits do not move."""
        for name in (f"refs/heads/{revision}", revision):
            if name in self.refs and not name.startswith("refs/tags/"):
                return name
        self.head(revision)
        raise bad_request(f"cannot commit to {revision}: it is not a branch")

    def history(self, revision: str = "main") -> list[Commit]:
        """Return the commits that led here, the newest first."""
        commits = [self.head(revision)]
        while commits[-1].parent:
            commits.append(self.commits[commits[-1].parent])
        return commits

    def last_commit(self, path: str, revision: str) -> Commit:
        """Return the commit that last changed a file or a folder."""
        history = self.history(revision)
        for commit, before in pairwise(history):
            if _below(path, commit.files) != _below(path, before.files):
                return commit
        return history[-1]

    def paths(self, revision: str = "main") -> list[str]:
        return sorted(self.head(revision).files)

    def read(self, path: str, revision: str = "main") -> bytes:
        return self.content(self.head(revision).file(path))

    def files(self, revision: str = "main") -> dict[str, bytes]:
        """Return the content of every file, `.gitattributes` included."""
        return {path: self.content(file) for path, file in self.head(revision).files.items()}

    def content(self, file: File) -> bytes:
        """Raises KeyError for an LFS object that storage has lost."""
        return self.objects[file.sha256] if file.sha256 else file.content or b""

    def commit(
        self,
        files: Mapping[str, File],
        ref: str,
        title: str,
        description: str = "",
        author: str = "hub",
        *,
        parent: str | None = None,
    ) -> Commit:
        """Make these files, all of them, the newest commit of a ref; a new ref needs a parent."""
        check_paths(files)
        commit = Commit.of(files, parent or self.refs.get(ref), title, description, author)
        self.commits[commit.id] = commit
        self.refs[ref] = commit.id
        return commit

    def goes_to_lfs(self, path: str, size: int, sample: bytes, revision: str = "main") -> bool:
        """Return whether the Hub wants a file as LFS: by .gitattributes, by size, or because it is not text."""
        attributes = self.head(revision).files.get(".gitattributes")
        lines = (attributes.content or b"").decode(errors="replace").splitlines() if attributes else []
        patterns = [line.split()[0] for line in lines if "filter=lfs" in line]
        name = path.rsplit("/", 1)[-1]
        listed = any(fnmatchcase(path if "/" in pattern else name, pattern) for pattern in patterns)
        return listed or size > REGULAR_LIMIT or not is_text(sample)


def _below(path: str, files: Mapping[str, File]) -> dict[str, str]:
    return {name: file.blob_id for name, file in files.items() if name == path or name.startswith(f"{path}/")}


def is_text(sample: bytes) -> bool:
    """Return whether these are the first bytes of UTF-8 text; the last character may be incomplete."""
    try:
        codecs.getincrementaldecoder("utf-8")().decode(sample)
    except UnicodeDecodeError:
        return False
    return b"\0" not in sample


def check_paths(files: Mapping[str, File]) -> None:
    """Refuse paths that git would not store, and a file where another path needs a folder."""
    for path in files:
        parts = path.split("/")
        if any(part.lower() in ("", ".", "..", ".git") for part in parts) or "\0" in path or "\\" in path:
            raise bad_request(f"invalid path: {path!r}")
        for depth in range(1, len(parts)):
            if "/".join(parts[:depth]) in files:
                raise bad_request(f"{'/'.join(parts[:depth])} is both a file and a folder")


def check_regular_size(path: str, content: bytes) -> None:
    if len(content) > REGULAR_LIMIT:
        raise RefusalError(413, f"{path}: files over 10 MiB must be uploaded through LFS")
