"""The routes of the Hub that the client takes when ganzoo pulls, pushes and searches."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote

from .faults import HTML, Reply, Request
from .repository import Commit, Repository, goes_to_lfs

if TYPE_CHECKING:
    from .server import HubServer


class RefusalError(Exception):
    """An answer with an error status; it leaves the Hub as it was."""

    def __init__(self, status: int, message: str, code: str = "") -> None:
        super().__init__(message)
        headers = {"X-Error-Message": message} | ({"X-Error-Code": code} if code else {})
        self.reply = json_reply({"error": message}, status, headers)


def json_reply(value: object, status: int = 200, headers: dict[str, str] | None = None) -> Reply:
    return Reply(status, json.dumps(value).encode(), {"Content-Type": "application/json", **(headers or {})})


@dataclass(frozen=True)
class Call:
    """One request, with the caller's identity and rights."""

    hub: HubServer
    request: Request
    namespaces: Sequence[str] | None
    """Whose repositories the token may write; None without a token."""

    def json(self) -> dict[str, Any]:
        return json.loads(self.request.body)

    def owns(self, repo_id: str) -> bool:
        return repo_id.split("/")[0] in (self.namespaces or ())

    def visible(self, repo_id: str) -> Repository:
        """Return a repository. A private one is refused with the words for one that does not exist."""
        repository = self.hub.repositories.get(repo_id)
        if repository is None or (repository.private and not self.owns(repo_id)):
            raise RefusalError(401 if self.namespaces is None else 404, "Repository not found", "RepoNotFound")
        return repository

    def readable(self, repo_id: str) -> Repository:
        """Return a repository whose files the caller may read; everyone may see that a gated one exists."""
        repository = self.visible(repo_id)
        if repository.gated and not self.owns(repo_id):
            status = 401 if self.namespaces is None else 403
            raise RefusalError(status, f"Access to {repo_id} is restricted.", "GatedRepo")
        return repository

    def require_owner(self, repo_id: str) -> None:
        if self.namespaces is None:
            raise RefusalError(401, "Invalid username or password.")
        if not self.owns(repo_id):
            raise RefusalError(403, f"You don't have the rights to create or change {repo_id}")

    def writable(self, repo_id: str) -> Repository:
        self.require_owner(self.visible(repo_id).id)
        return self.hub.repositories[repo_id]


Action = Callable[..., Reply]
ROUTES: list[tuple[str, re.Pattern[str], Action]] = []


def route(method: str, template: str) -> Callable[[Action], Action]:
    """Register a function for a path: {repo} is owner/name, {path} all that is left, anything else one segment."""
    groups = {"repo": "[^/]+/[^/]+", "path": ".*"}
    pattern = re.sub(r"\{(\w+)\}", lambda found: f"(?P<{found[1]}>{groups.get(found[1], '[^/]+')})", template)

    def register(action: Action) -> Action:
        ROUTES.append((method, re.compile(pattern), action))
        return action

    return register


def answer(call: Call, quoted_path: str) -> Reply:
    """Answer a request as the Hub does. Raises RefusalError."""
    method = "GET" if call.request.method == "HEAD" else call.request.method
    for verb, pattern, action in ROUTES:
        if verb == method and (found := pattern.fullmatch(quoted_path)):
            return action(call, **{name: unquote(part) for name, part in found.groupdict().items()})
    raise RefusalError(404, "Sorry, we can't find the page you are looking for.")


def commit_at(repository: Repository, revision: str) -> Commit:
    try:
        return repository.head(revision)
    except KeyError:
        raise RefusalError(404, f"Invalid rev id: {revision}", "RevisionNotFound") from None


# --- reading ---


@route("GET", "/api/models")
def search(call: Call) -> Reply:
    text = call.request.query.get("search", [""])[0]
    wanted = set(call.request.query.get("filter", []))
    public = [repository for repository in call.hub.repositories.values() if not repository.private]
    rows = [info_row(repository, "main") for repository in public if text.lower() in repository.id.lower()]
    return json_reply([row for row in rows if wanted <= set(row["tags"])])


@route("GET", "/api/models/{repo}")
@route("GET", "/api/models/{repo}/revision/{revision}")
def info(call: Call, repo: str, revision: str = "main") -> Reply:
    return json_reply(info_row(call.visible(repo), revision))


def info_row(repository: Repository, revision: str) -> dict[str, Any]:
    commit, card = commit_at(repository, revision), repository.card(revision)
    siblings = []
    for path, file in sorted(commit.files.items()):
        row = {"rfilename": path, "size": len(file.content), "blobId": file.blob_id}
        if file.is_lfs:
            row["lfs"] = {"sha256": file.sha256, "size": len(file.content), "pointerSize": len(file.pointer)}
        siblings.append(row)
    return {
        "id": repository.id,
        "sha": commit.id,
        "private": repository.private,
        "gated": "auto" if repository.gated else False,
        "downloads": 0,
        "tags": [*card.get("tags", []), *([card["library_name"]] if "library_name" in card else [])],
        "cardData": card,
        "siblings": siblings,
    }


@route("GET", "/api/models/{repo}/refs")
def refs(call: Call, repo: str) -> Reply:
    repository, rows = call.visible(repo), {}
    for key, prefix in {"branches": "refs/heads/", "converts": "refs/convert/", "tags": "refs/tags/"}.items():
        named = repository.refs_under(prefix)
        rows[key] = [{"name": name, "ref": prefix + name, "targetCommit": commit} for name, commit in named.items()]
    return json_reply(rows)


@route("GET", "/{repo}/resolve/{revision}/{path}")
def resolve(call: Call, repo: str, revision: str, path: str) -> Reply:
    commit = commit_at(call.readable(repo), revision)
    if path not in commit.files:
        raise RefusalError(404, "Entry not found", "EntryNotFound")
    file, headers = commit.files[path], {"X-Repo-Commit": commit.id}
    if not file.is_lfs:
        return Reply(200, file.content, {**headers, "ETag": f'"{file.etag}"'})
    call.hub.objects[file.sha256] = file.content
    linked = {"X-Linked-Size": str(len(file.content)), "X-Linked-ETag": f'"{file.etag}"'}
    location = f"{call.hub.storage_url}/objects/{file.sha256}/{quote(path)}"
    return Reply(302, b"", {**headers, **linked, "Location": location})


# --- writing ---


@route("POST", "/api/repos/create")
def create(call: Call) -> Reply:
    wanted = call.json()
    repo_id = f"{wanted['organization']}/{wanted['name']}"
    call.require_owner(repo_id)
    row = {"url": f"{call.hub.url}/{repo_id}", "name": repo_id, "id": repo_id}
    if repo_id in call.hub.repositories:
        return json_reply({"error": "You already created this model repo", **row}, 409)
    private = bool(wanted.get("private")) or wanted.get("visibility") == "private"
    call.hub.repositories[repo_id] = Repository(repo_id, private)
    return json_reply(row)


@route("DELETE", "/api/repos/delete")
def delete(call: Call) -> Reply:
    wanted = call.json()
    del call.hub.repositories[call.writable(f"{wanted['organization']}/{wanted['name']}").id]
    return json_reply({})


@route("POST", "/api/validate-yaml")
def validate_yaml(call: Call) -> Reply:
    return json_reply({"errors": [], "warnings": []})


@route("POST", "/api/models/{repo}/preupload/{revision}")
def preupload(call: Call, repo: str, revision: str) -> Reply:
    current = commit_at(call.writable(repo), revision).files
    rows = []
    for row in call.json()["files"]:
        path = row["path"]
        mode = "lfs" if goes_to_lfs(path, row["size"], base64.b64decode(row["sample"])) else "regular"
        oid = current[path].etag if path in current else None
        rows.append({"path": path, "uploadMode": mode, "shouldIgnore": False, "oid": oid})
    return json_reply({"files": rows})


@route("POST", "/{repo}.git/info/lfs/objects/batch")
def batch(call: Call, repo: str) -> Reply:
    call.writable(repo)
    rows = []
    for wanted in call.json()["objects"]:
        row = {"oid": wanted["oid"], "size": wanted["size"]}
        if wanted["oid"] not in call.hub.objects:
            row["actions"] = {"upload": {"href": f"{call.hub.storage_url}/upload/{wanted['oid']}", "header": {}}}
        rows.append(row)
    return json_reply({"transfer": "basic", "objects": rows})


@route("POST", "/api/models/{repo}/commit/{revision}")
def commit(call: Call, repo: str, revision: str) -> Reply:
    repository = call.writable(repo)
    header, *rows = [json.loads(line) for line in call.request.body.splitlines()]
    head = repository.head()
    if revision != "main" or header["value"].get("parentCommit") not in (None, head.id):
        raise RefusalError(412, "A commit has happened since. Please refresh and try again.")
    changes: dict[str, bytes | None] = {}
    for row in rows:
        value = row["value"]
        path = value["path"]
        match row["key"]:
            case "file":
                changes[path] = base64.b64decode(value["content"], validate=True)
            case "lfsFile" if value["oid"] in call.hub.objects:
                changes[path] = call.hub.objects[value["oid"]]
            case "deletedFile" if path in head.files:
                changes[path] = None
            case key:
                raise RefusalError(400, f"{key} of {path} cannot be done")
    number = len(repository.pull_requests) + 1 if "create_pr" in call.request.query else None
    ref = f"refs/pr/{number}" if number else "refs/heads/main"
    new = repository.commit(changes, header["value"]["summary"], ref)
    reply = {"success": True, "commitOid": new.id, "commitUrl": f"{call.hub.url}/{repo}/commit/{new.id}"}
    if number:
        reply["pullRequestUrl"] = f"{call.hub.url}/{repo}/discussions/{number}"
    return json_reply(reply)


@route("POST", "/api/models/{repo}/tag/{revision}")
def create_tag(call: Call, repo: str, revision: str) -> Reply:
    repository, name = call.writable(repo), f"refs/tags/{call.json()['tag']}"
    if name in repository.refs:
        raise RefusalError(409, f"Reference already exists: {name}")
    repository.refs[name] = commit_at(repository, revision)
    return json_reply({})


# --- the storage of large files, on another host: tokens must not come here ---


def require_signed_url(call: Call) -> None:
    """Refuse a token, as production storage does: its addresses are signed."""
    if call.request.authorized or not call.request.host.startswith("localhost:"):
        raise RefusalError(400, "Only one auth mechanism allowed")


@route("GET", "/objects/{oid}/{path}")
def read_object(call: Call, oid: str, path: str) -> Reply:
    require_signed_url(call)
    return Reply(200, call.hub.objects[oid], {"ETag": f'"{oid}"'})


@route("PUT", "/upload/{oid}")
def write_object(call: Call, oid: str) -> Reply:
    require_signed_url(call)
    if hashlib.sha256(call.request.body).hexdigest() != oid:
        raise RefusalError(422, "the content does not have the sha256 that was announced")
    call.hub.objects[oid] = call.request.body
    return Reply()


@route("GET", "/elsewhere/{path}")
def elsewhere(call: Call, path: str) -> Reply:
    """Serve a page that has nothing to do with the Hub."""
    return Reply(200, HTML, {"Content-Type": "text/html; charset=utf-8"})
