"""Routes: templates of paths, and a call: one request with the caller's identity and rights."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote, urlencode

from .refusals import RefusalError, forbidden, gated_repo, not_logged_in, repo_not_found
from .repository import Repository
from .wire import Reply, Request, json_reply

if TYPE_CHECKING:
    from .server import HubServer

REPOSITORY = "/api/{kind:models|datasets|spaces}/{owner}/{name}"


@dataclass(frozen=True)
class User:
    """Whoever holds a token."""

    name: str
    token: str
    orgs: tuple[str, ...] = ()
    write: bool = True
    """Whether the token may write."""

    def owns(self, namespace: str) -> bool:
        return namespace == self.name or namespace in self.orgs


@dataclass(frozen=True)
class Call:
    """One request to the hub; `parts` are the unquoted pieces of its path."""

    hub: HubServer
    request: Request
    parts: dict[str, str]
    user: User | None

    @property
    def kind(self) -> str:
        return (self.parts.get("kind") or "models").rstrip("/")

    @property
    def repo_id(self) -> str:
        return f"{self.parts['owner']}/{self.parts['name']}"

    @property
    def revision(self) -> str:
        return self.parts.get("revision") or "main"

    def repository(self) -> Repository:
        """Return the repository if this caller may know of it. A gated one is listed for everybody."""
        return self.visible(self.kind, self.repo_id)

    def visible(self, kind: str, repo_id: str) -> Repository:
        repository = self.hub.repositories.get((kind, repo_id))
        if repository is None or not self.may_see(repository):
            raise repo_not_found(with_token=self.user is not None)
        return repository

    def may_see(self, repository: Repository) -> bool:
        return not repository.private or (self.user is not None and self.user.owns(repository.owner))

    def readable(self) -> Repository:
        """Return the repository if this caller may read its files."""
        repository = self.repository()
        known = self.user is not None
        if repository.gated and not (
            self.user and (self.user.owns(repository.owner) or self.user.name in repository.granted)
        ):
            raise gated_repo(repository.id, f"{self.hub.url}/{repository.id}", with_token=known)
        return repository

    def writable(self, *, pull_request: bool = False) -> Repository:
        """Return the repository if this caller may write to it, or open a pull request with any write token."""
        repository = self.repository()
        self.require_write_token()
        if not pull_request:
            self.require_namespace(repository.owner)
        return repository

    def require_write_token(self) -> User:
        if self.user is None:
            raise not_logged_in()
        if not self.user.write:
            raise forbidden("You must use a write token to perform this action")
        return self.user

    def require_namespace(self, namespace: str) -> None:
        if not self.require_write_token().owns(namespace):
            raise forbidden(f'You don\'t have the rights to create or change a repo under the namespace "{namespace}"')

    def paged(self, rows: Sequence[Any], size: int) -> Reply:
        """Answer with one page; a Link header leads to the next."""
        start = int(self.request.query.get("cursor", ["0"])[0])
        end = start + size
        if end >= len(rows):
            return json_reply(rows[start:end])
        query = urlencode({**self.request.query, "cursor": [str(end)]}, doseq=True)
        link = f'<{self.hub.url}{self.request.quoted_path}?{query}>; rel="next"'
        return json_reply(rows[start:end], headers={"Link": link})


Action = Callable[[Call], Reply]


class Routes:
    """Which function answers which path; GET answers HEAD too."""

    def __init__(self) -> None:
        self._table: list[tuple[str, re.Pattern[str], Action]] = []

    def __call__(self, method: str, template: str) -> Callable[[Action], Action]:
        """Register a function. In a template {x} is one segment, {x:a|b} one of these, {x:*} all that is left."""
        pattern = re.compile(re.sub(r"\{(\w+)(?::([^}]+))?\}", _group, template))

        def register(action: Action) -> Action:
            self._table.append((method, pattern, action))
            return action

        return register

    @classmethod
    def together(cls, *tables: Routes) -> Routes:
        routes = cls()
        routes._table = [row for table in tables for row in table._table]
        return routes

    def find(self, request: Request) -> tuple[Action, dict[str, str]]:
        method = "GET" if request.method == "HEAD" else request.method
        matches = [
            (verb, action, found)
            for verb, pattern, action in self._table
            if (found := pattern.fullmatch(request.quoted_path))
        ]
        for verb, action, found in matches:
            if verb == method:
                return action, {name: unquote(part or "") for name, part in found.groupdict().items()}
        if matches:
            raise RefusalError(405, "Method not allowed")
        raise RefusalError(404, "Sorry, we can't find the page you are looking for.")


def _group(placeholder: re.Match[str]) -> str:
    name, choices = placeholder.groups()
    return f"(?P<{name}>{'.*' if choices == '*' else choices or '[^/]+'})"


def quoted(path: str) -> str:
    return quote(path, safe="/")
