"""The hub's API: users, repositories, what is in them, and their refs. Commits and files have modules of their own."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any
from urllib.parse import parse_qs

from . import cards
from .refusals import RefusalError, bad_request, entry_not_found, not_logged_in, revision_not_found
from .repository import Commit, File, Repository, folder_ids
from .routes import REPOSITORY, Call, Routes
from .wire import Reply, json_reply

route = Routes()

EXPANDED_PAGE = 50
"""Rows of a page when each row is costly: commits, and trees with their last commits."""


@route("GET", "/api/whoami-v2")
def whoami(call: Call) -> Reply:
    user = call.user
    if user is None:
        raise not_logged_in()
    orgs = [{"type": "org", "id": org, "name": org, "fullname": org, "roleInOrg": "write"} for org in user.orgs]
    token = {"displayName": f"token of {user.name}", "role": "write" if user.write else "read"}
    person = {"id": user.name, "name": user.name, "fullname": user.name, "email": f"{user.name}@example.org"}
    auth = {"type": "access_token", "accessToken": token}
    return json_reply({"type": "user", **person, "isPro": False, "orgs": orgs, "auth": auth})


@route("POST", "/api/validate-yaml")
def validate_yaml(call: Call) -> Reply:
    errors, warnings = cards.problems(str(call.request.json().get("content", "")))
    value = {"errors": [{"message": text} for text in errors], "warnings": [{"message": text} for text in warnings]}
    return json_reply(value, 400 if errors else 200)


# Repositories


@route("POST", "/api/repos/create")
def create(call: Call) -> Reply:
    wanted = call.request.json()
    repo_id = _wanted_id(call, wanted)
    call.require_namespace(repo_id.split("/")[0])
    kind = f"{wanted.get('type') or 'model'}s"
    url = f"{call.hub.url}/{'' if kind == 'models' else kind + '/'}{repo_id}"
    if (kind, repo_id) in call.hub.repositories:
        raise RefusalError(409, f"You already created this {kind[:-1]} repo: {repo_id}", extra={"url": url})
    private = bool(wanted.get("private")) or wanted.get("visibility") == "private"
    call.hub.repositories[kind, repo_id] = Repository(kind, repo_id, call.hub.objects, private=private)
    return json_reply({"url": url, "name": repo_id, "id": repo_id})


@route("DELETE", "/api/repos/delete")
def delete(call: Call) -> Reply:
    wanted = call.request.json()
    kind, repo_id = f"{wanted.get('type') or 'model'}s", _wanted_id(call, wanted)
    repository = call.visible(kind, repo_id)
    call.require_namespace(repository.owner)
    del call.hub.repositories[kind, repo_id]
    return json_reply({})


@route("POST", "/api/repos/move")
def move(call: Call) -> Reply:
    wanted = call.request.json()
    kind, source, target = f"{wanted.get('type') or 'model'}s", str(wanted["fromRepo"]), str(wanted["toRepo"])
    repository = call.visible(kind, source)
    call.require_namespace(repository.owner)
    call.require_namespace(target.split("/")[0])
    if (kind, target) in call.hub.repositories:
        raise RefusalError(409, f"{target} exists already")
    repository.id = target
    call.hub.repositories[kind, target] = call.hub.repositories.pop((kind, source))
    return json_reply({})


def _wanted_id(call: Call, wanted: dict[str, Any]) -> str:
    owner = wanted.get("organization") or call.require_write_token().name
    repo_id = f"{owner}/{wanted.get('name')}"
    if not re.fullmatch(r"[\w.-]{1,96}/[\w.-]{1,96}", repo_id, re.ASCII) or ".." in repo_id:
        raise bad_request(f"invalid repo name: {repo_id}")
    return repo_id


@route("PUT", f"{REPOSITORY}/settings")
def settings(call: Call) -> Reply:
    repository, wanted = call.writable(), call.request.json()
    if "visibility" in wanted:
        wanted["private"] = wanted["visibility"] == "private"
    repository.private = bool(wanted.get("private", repository.private))
    repository.gated = wanted.get("gated", repository.gated)
    return json_reply({"private": repository.private, "gated": repository.gated})


@route("GET", f"{REPOSITORY}/auth-check")
def auth_check(call: Call) -> Reply:
    call.readable()
    return json_reply({})


@route("GET", f"{REPOSITORY}/auth-check/write")
def auth_check_write(call: Call) -> Reply:
    call.writable()
    return json_reply({})


@route("GET", f"{REPOSITORY}/{{direction:xet-write-token|xet-read-token}}/{{revision}}")
def xet_token(call: Call) -> Reply:
    """Refuse as a hub without Xet does."""
    call.repository()
    raise RefusalError(404, "Sorry, we can't find the page you are looking for.")


# What is in them


@route("GET", "/api/{kind:models|datasets|spaces}")
def search(call: Call) -> Reply:
    found = [repository for repository in call.hub.repositories.values() if _is_wanted(call, repository)]
    query = call.request.query
    if query.get("sort") == ["lastModified"]:
        found.sort(key=lambda repository: repository.head().date, reverse=True)
    rows = [_info(repository, repository.head()) for repository in found]
    if expand := query.get("expand"):
        rows = [_expanded(row, expand) for row in rows]
    else:
        hidden = set() if call.request.flag("full") else {"sha", "lastModified", "siblings", "author", "gated"}
        hidden |= set() if call.request.flag("cardData") else {"cardData", "model-index"}
        rows = [{key: value for key, value in row.items() if key not in hidden} for row in rows]
    size = min(int(query.get("limit", [str(call.hub.page_size)])[0]), call.hub.page_size)
    return call.paged(rows, size)


def _is_wanted(call: Call, repository: Repository) -> bool:
    query = call.request.query
    wanted_tags = {tag for value in query.get("filter", []) + query.get("pipeline_tag", []) for tag in value.split(",")}
    return (
        repository.kind == call.kind
        and call.may_see(repository)
        and wanted_tags <= set(_tags(repository, repository.head()))
        and query.get("author", [repository.owner])[0] == repository.owner
        and query.get("search", [""])[0].lower() in repository.id.lower()
    )


@route("GET", REPOSITORY)
@route("GET", f"{REPOSITORY}/revision/{{revision}}")
def info(call: Call) -> Reply:
    repository = call.repository()
    row = _info(repository, repository.head(call.revision), blobs=call.request.flag("blobs"))
    expand = call.request.query.get("expand")
    return json_reply(_expanded(row, expand) if expand else row)


def _expanded(row: dict[str, Any], expand: Iterable[str]) -> dict[str, Any]:
    return {key: row[key] for key in ("id", *expand) if key in row}


def _info(repository: Repository, commit: Commit, *, blobs: bool = False) -> dict[str, Any]:
    card = _card(commit)
    named = {key: card[key] for key in ("library_name", "pipeline_tag", "model-index") if key in card}
    created = repository.history()[-1]
    return {
        "_id": created.id[:24],
        "id": repository.id,
        "modelId": repository.id,
        "author": repository.owner,
        "sha": commit.id,
        "lastModified": commit.isodate,
        "createdAt": created.isodate,
        "private": repository.private,
        "gated": repository.gated,
        "disabled": False,
        "downloads": 0,
        "likes": 0,
        "tags": _tags(repository, commit),
        **named,
        "cardData": card,
        "siblings": [_sibling(path, file, blobs=blobs) for path, file in sorted(commit.files.items())],
        **repository.metadata,
    }


def _card(commit: Commit) -> dict[str, Any]:
    readme = commit.files.get("README.md")
    return cards.metadata((readme.content or b"").decode(errors="replace")) if readme else {}


def _tags(repository: Repository, commit: Commit) -> list[str]:
    return list(dict.fromkeys([*cards.tags(_card(commit)), *repository.extra_tags]))


def _sibling(path: str, file: File, *, blobs: bool) -> dict[str, Any]:
    row: dict[str, Any] = {"rfilename": path}
    if blobs:
        row |= {"blobId": file.blob_id, "size": file.size}
    if blobs and file.sha256:
        row["lfs"] = {"sha256": file.sha256, "size": file.size, "pointerSize": file.pointer_size}
    return row


@route("GET", f"{REPOSITORY}/tree/{{revision}}")
@route("GET", f"{REPOSITORY}/tree/{{revision}}/{{path:*}}")
def tree(call: Call) -> Reply:
    repository = call.repository()
    commit, folder = repository.head(call.revision), call.parts.get("path", "").strip("/")
    rows = _rows(commit)
    if folder and not any(row["path"] == folder and row["type"] == "directory" for row in rows):
        raise entry_not_found(f"{folder} does not exist on {call.revision!r}", commit.id)
    inside = [row for row in rows if row["path"].startswith(f"{folder}/" if folder else "")]
    if not call.request.flag("recursive"):
        inside = [row for row in inside if row["path"].rpartition("/")[0] == folder]
    if not call.request.flag("expand"):
        return call.paged(inside, call.hub.page_size)
    _expand_rows(repository, call.revision, inside)
    return call.paged(inside, min(EXPANDED_PAGE, call.hub.page_size))


@route("POST", f"{REPOSITORY}/paths-info/{{revision}}")
def paths_info(call: Call) -> Reply:
    repository, request = call.repository(), call.request
    if request.headers.get("Content-Type", "").startswith("application/json"):
        wanted = request.json()
        paths, expand = wanted.get("paths", []), bool(wanted.get("expand"))
    else:
        form = parse_qs(request.body.decode())
        paths, expand = form.get("paths", []), form.get("expand", [""])[0].lower() in ("true", "1")
    rows = [row for row in _rows(repository.head(call.revision)) if row["path"] in paths]
    if expand:
        _expand_rows(repository, call.revision, rows)
    return json_reply(rows)


def _rows(commit: Commit) -> list[dict[str, Any]]:
    rows = [
        {"type": "directory", "oid": id_, "size": 0, "path": path}
        for path, id_ in folder_ids(commit.files).items()
        if path
    ]
    for path, file in commit.files.items():
        row = {"type": "file", "oid": file.blob_id, "size": file.size, "path": path}
        if file.sha256:
            row["lfs"] = {"oid": file.sha256, "size": file.size, "pointerSize": file.pointer_size}
        rows.append(row)
    return sorted(rows, key=lambda row: row["path"])


def _expand_rows(repository: Repository, revision: str, rows: list[dict[str, Any]]) -> None:
    for row in rows:
        last = repository.last_commit(row["path"], revision)
        row["lastCommit"] = {"id": last.id, "title": last.title, "date": last.isodate}


# Commits and refs


@route("GET", f"{REPOSITORY}/commits/{{revision}}")
def commits(call: Call) -> Reply:
    rows = [
        {
            "id": commit.id,
            "title": commit.title,
            "message": commit.description,
            "authors": [{"user": commit.author}],
            "date": commit.isodate,
        }
        for commit in call.repository().history(call.revision)
    ]
    return call.paged(rows, min(EXPANDED_PAGE, call.hub.page_size))


@route("GET", f"{REPOSITORY}/refs")
def refs(call: Call) -> Reply:
    repository = call.repository()
    value: dict[str, Any] = {
        "branches": _ref_rows("refs/heads/", repository.branches),
        "converts": [],
        "tags": _ref_rows("refs/tags/", repository.tags),
    }
    if call.request.flag("include_prs"):
        value["pullRequests"] = _ref_rows("refs/pr/", repository.pull_requests)
    return json_reply(value)


def _ref_rows(prefix: str, named: dict[str, str]) -> list[dict[str, str]]:
    return [{"name": name, "ref": f"{prefix}{name}", "targetCommit": commit} for name, commit in named.items()]


@route("POST", f"{REPOSITORY}/tag/{{revision}}")
def create_tag(call: Call) -> Reply:
    repository = call.writable()
    return _create_ref(repository, f"refs/tags/{call.request.json().get('tag', '')}", call.revision)


@route("POST", f"{REPOSITORY}/branch/{{branch}}")
def create_branch(call: Call) -> Reply:
    repository = call.writable()
    return _create_ref(
        repository, f"refs/heads/{call.parts['branch']}", call.request.json().get("startingPoint") or "main"
    )


@route("DELETE", f"{REPOSITORY}/tag/{{tag}}")
def delete_tag(call: Call) -> Reply:
    return _delete_ref(call.writable(), f"refs/tags/{call.parts['tag']}")


@route("DELETE", f"{REPOSITORY}/branch/{{branch}}")
def delete_branch(call: Call) -> Reply:
    if call.parts["branch"] == "main":
        raise RefusalError(403, "The default branch cannot be deleted")
    return _delete_ref(call.writable(), f"refs/heads/{call.parts['branch']}")


def _create_ref(repository: Repository, name: str, revision: str) -> Reply:
    short = name.split("/", 2)[2]
    if not re.fullmatch(r"[^\s~^:?*\[\\]+", short) or ".." in short or short.endswith(("/", ".lock")):
        raise bad_request(f"invalid reference name: {short!r}")
    if name in repository.refs:
        raise RefusalError(409, f"Reference already exists: {name}")
    repository.refs[name] = repository.head(revision).id
    return json_reply({})


def _delete_ref(repository: Repository, name: str) -> Reply:
    if name not in repository.refs:
        raise revision_not_found(name)
    del repository.refs[name]
    return json_reply({})
