"""A Hugging Face Hub on this machine: `with HubServer() as hub`, then point HF_ENDPOINT at `hub.url`.

It keeps everything in memory, speaks the Hub's protocol as far as the real client needs it, writes down every
request, and misbehaves when asked to. Repositories are data in `repository`, refusals in `refusals`, what can go
wrong in `faults`, the routes in `api`, `commits` and `files`.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Self
from urllib.parse import urlencode

from . import api, commits, files
from .faults import Fault, Misbehaviour, Mischief
from .refusals import RefusalError, unknown_token
from .repository import File, Repository
from .routes import Call, Routes, User
from .wire import Reply, Request, Server, refusal_reply

SAMPLE = 512
"""Bytes of a file that a client shows to learn whether it goes to LFS."""

API = Routes.together(api.route, commits.route, files.route)


@dataclass(frozen=True)
class Record:
    """One request and the status it was answered with."""

    method: str
    host: str
    """Name and port as the client wrote them."""
    path: str
    """Unquoted, without the query."""
    query: Mapping[str, list[str]]
    headers: Mapping[str, str]
    """With lower-case names."""
    body: bytes
    status: int
    """0 if there was no answer at all."""

    @property
    def authorized(self) -> bool:
        return "authorization" in self.headers

    def matches(self, pattern: str) -> bool:
        """Compare with a pattern such as "GET */resolve/*"."""
        method, _, path = pattern.partition(" ")
        return fnmatchcase(self.method, method) and fnmatchcase(self.path, path)


class HubServer:
    """The hub and its storage, listening while the `with` block runs.

    Leaving the block closes every connection, and raises AssertionError if the server itself had a bug.
    """

    def __init__(self, *, page_size: int = 1000, part_size: int = 64 << 20, resolve_cache: bool = False) -> None:
        self.page_size = page_size
        """Rows of a page of any listing."""
        self.part_size = part_size
        """Bytes; larger LFS objects are uploaded in parts of this size."""
        self.resolve_cache = resolve_cache
        """Whether regular files take a redirect to /api/resolve-cache, as on the Hub itself."""
        self.repositories: dict[tuple[str, str], Repository] = {}
        """By kind (models, datasets, spaces) and id."""
        self.objects: dict[str, bytes] = {}
        """LFS contents by sha256."""
        self.parts: dict[str, dict[int, bytes]] = {}
        """Parts uploaded and not yet put together, by sha256 and number."""
        self.requests: list[Record] = []
        """Every request to the hub or its storage, in the order of arrival."""
        self.mischief = Mischief()
        self._users: dict[str, User] = {}
        self._lock = threading.RLock()
        self._secret = secrets.token_bytes(16)
        self._api = Server(lambda request: self._answer(request, self._answer_api))
        self._storage = Server(lambda request: self._answer(request, self._answer_storage))
        self.url = f"http://127.0.0.1:{self._api.port}"
        self.storage_url = f"http://localhost:{self._storage.port}"
        """Another host name, as with the Hub's own storage: tokens must not come here."""
        self.elsewhere = f"{self.storage_url}/elsewhere/page"
        """A page for redirects away from the hub."""

    def __enter__(self) -> Self:
        self._api.start()
        self._storage.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        for server in (self._api, self._storage):
            server.close()
        errors = [*self._api.errors, *self._storage.errors]
        if errors and kind is None:
            raise AssertionError("the test server has a bug:\n" + "\n".join(errors))

    # What is there

    def add_user(self, name: str, token: str, orgs: Iterable[str] = (), write: bool = True) -> User:
        """Let a token in. A user may have several, such as one to read and one to write."""
        self._users[token] = User(name, token, tuple(orgs), write)
        return self._users[token]

    def add_repo(
        self,
        repo_id: str,
        contents: Mapping[str, bytes],
        *,
        private: bool = False,
        gated: bool | str = False,
        tags: Iterable[str] = (),
        kind: str = "models",
        **metadata: object,
    ) -> str:
        """Create a repository with these files on top of `.gitattributes`; return the commit.

        Tags and library name come from the card's metadata as on the Hub; `tags` and `metadata` add to what the
        repository's info says.
        """
        gated = "auto" if gated is True else gated
        with self._lock:
            self.repositories[kind, repo_id] = Repository(
                kind, repo_id, self.objects, private, gated, extra_tags=tuple(tags), metadata=metadata
            )
        return self.commit(repo_id, contents, "Add files", kind=kind)

    def commit(
        self, repo_id: str, contents: Mapping[str, bytes | None], title: str = "Update", *, kind: str = "models"
    ) -> str:
        """Add or change files on main, or with None remove them; return the commit."""
        with self._lock:
            repository = self.repositories[kind, repo_id]
            changed = dict(repository.head().files)
            for path, content in contents.items():
                if content is None:
                    del changed[path]
                else:
                    changed[path] = self._file(repository, path, content)
            return repository.commit(changed, "refs/heads/main", title, author=repository.owner).id

    def _file(self, repository: Repository, path: str, content: bytes) -> File:
        if not content or not repository.goes_to_lfs(path, len(content), content[:SAMPLE]):
            return File.regular(content)
        sha256 = hashlib.sha256(content).hexdigest()
        self.objects[sha256] = content
        return File.pointer(sha256, len(content))

    def repo(self, repo_id: str, kind: str = "models") -> Repository:
        """Raises KeyError if there is none."""
        return self.repositories[kind, repo_id]

    # What happened, and what shall go wrong

    def misbehave(self, pattern: str, fault: Fault, times: int | None = 1) -> Misbehaviour:
        """Plan a fault for requests such as "GET */resolve/main/config.json" or "PUT *".

        A method and a path, each with wildcards; `*` matches slashes too, and paths have no query. The bytes of an
        LFS file come from `/objects/SHA256/NAME`, those of an upload go to `/upload/SHA256`. The fault waits for
        the first requests that it can do something with (`Cut` needs a body); with `times=None` it never ends.
        The result counts in `happened`.
        """
        return self.mischief.plan(pattern, fault, times)

    def requested(self, pattern: str) -> list[Record]:
        """Return the requests that match a pattern like that of `misbehave`."""
        return [record for record in list(self.requests) if record.matches(pattern)]

    def leaks(self) -> list[Record]:
        """Return the requests that brought a token to another host than the hub."""
        here = self.url.removeprefix("http://")
        return [record for record in list(self.requests) if record.authorized and record.host != here]

    # Signed URLs

    def signed(self, path: str, **query: str) -> str:
        """Return a URL on the storage host that is good without a token, and only without one."""
        target = f"{path}?{urlencode(query)}"
        return f"{self.storage_url}{target}&X-Amz-Signature={self._signature(target)}"

    def is_signed(self, target: str) -> bool:
        signed, _, signature = target.partition("&X-Amz-Signature=")
        return hmac.compare_digest(signature, self._signature(signed))

    def _signature(self, target: str) -> str:
        return hmac.new(self._secret, target.encode(), "sha256").hexdigest()

    # Answers

    def _answer(self, request: Request, honest: Callable[[Request], Reply]) -> Reply:
        reply = self.mischief.instead(request)
        if reply is None:
            with self._lock:
                reply = self.mischief.spoil(request, honest(request))
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.requests.append(
            Record(request.method, request.host, request.path, request.query, headers, request.body, reply.status)
        )
        return reply

    def _answer_api(self, request: Request) -> Reply:
        try:
            return self._act(API, request, self._caller(request))
        except RefusalError as refusal:
            return refusal_reply(refusal)

    def _answer_storage(self, request: Request) -> Reply:
        try:
            return self._act(files.storage_route, request, None)
        except files.StorageRefusalError as refusal:
            return refusal.reply
        except RefusalError as refusal:
            return files.storage_error(refusal.status, "BadDigest", refusal.message)

    def _act(self, routes: Routes, request: Request, user: User | None) -> Reply:
        action, parts = routes.find(request)
        return action(Call(self, request, parts, user))

    def _caller(self, request: Request) -> User | None:
        authorization = request.headers.get("Authorization")
        if authorization is None:
            return None
        user = self._users.get(authorization.removeprefix("Bearer "))
        if user is None or not authorization.startswith("Bearer "):
            raise unknown_token()
        return user
