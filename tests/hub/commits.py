"""Writing to a repository: what goes to LFS, and the commit itself, which is made whole or not at all."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Any

from . import cards
from .refusals import RefusalError, bad_request, entry_not_found
from .repository import Commit, File, Repository, check_regular_size
from .routes import REPOSITORY, Call, Routes
from .wire import Reply, json_reply

route = Routes()

Files = dict[str, File]


@route("POST", f"{REPOSITORY}/preupload/{{revision}}")
def preupload(call: Call) -> Reply:
    repository = call.writable(pull_request=call.request.flag("create_pr"))
    commit, wanted = repository.head(call.revision), call.request.json()
    ignored = str(wanted["gitIgnore"]).splitlines() if "gitIgnore" in wanted else _ignored(commit)
    rows = [_upload_mode(repository, call.revision, ignored, row) for row in wanted.get("files", [])]
    return json_reply({"files": rows, "commitOid": commit.id})


def _ignored(commit: Commit) -> list[str]:
    file = commit.files.get(".gitignore")
    return (file.content or b"").decode(errors="replace").splitlines() if file else []


def _upload_mode(repository: Repository, revision: str, ignored: list[str], row: dict[str, Any]) -> dict[str, Any]:
    path = str(row["path"])
    sample = base64.b64decode(row.get("sample", ""))
    lfs = repository.goes_to_lfs(path, int(row["size"]), sample, revision)
    current = repository.head(revision).files.get(path)
    names = (path, path.rsplit("/", 1)[-1])
    return {
        "path": path,
        "uploadMode": "lfs" if lfs else "regular",
        "shouldIgnore": any(fnmatchcase(name, pattern.strip()) for name in names for pattern in ignored),
        "oid": current.etag if current else None,
    }


@route("POST", f"{REPOSITORY}/commit/{{revision}}")
def commit(call: Call) -> Reply:
    pull_request = call.request.flag("create_pr")
    repository = call.writable(pull_request=pull_request)
    ref = "" if pull_request else repository.writable_ref(call.revision)
    base = repository.head(call.revision)
    rows = list(_rows(call.request.body))
    header = _header(rows)
    if header.get("parentCommit") not in (None, base.id):
        raise RefusalError(412, "A commit has happened since. Please refresh and try again.")
    files = dict(base.files)
    for key, value in rows[1:]:
        _apply(key, value, files, base, call.hub.objects)
    number = len(repository.pull_requests) + 1
    if pull_request:
        ref = f"refs/pr/{number}"
    author, description = call.require_write_token().name, str(header.get("description") or "")
    new = repository.commit(files, ref, header["summary"], description, author, parent=base.id)
    answer = {"success": True, "commitOid": new.id, "commitUrl": f"{call.hub.url}/{repository.id}/commit/{new.id}"}
    if pull_request:
        answer["pullRequestUrl"] = f"{call.hub.url}/{repository.id}/discussions/{number}"
    return json_reply({**answer, "hookOutput": ""})


def _rows(body: bytes) -> Iterator[tuple[str, dict[str, Any]]]:
    for line in body.splitlines():
        try:
            row = json.loads(line)
            key, value = row["key"], row["value"]
        except (ValueError, TypeError, KeyError):
            raise bad_request("invalid NDJSON: expected lines of {key, value}") from None
        if not isinstance(key, str) or not isinstance(value, dict):
            raise bad_request("invalid NDJSON: expected lines of {key, value}")
        yield key, value


def _header(rows: list[tuple[str, dict[str, Any]]]) -> dict[str, Any]:
    if not rows or rows[0][0] != "header":
        raise bad_request("the first line must be the header")
    header = rows[0][1]
    if not isinstance(header.get("summary"), str) or not header["summary"].strip():
        raise bad_request("the header needs a summary")
    return header


def _apply(key: str, value: dict[str, Any], files: Files, base: Commit, objects: dict[str, bytes]) -> None:
    path = value.get("path")
    if not isinstance(path, str):
        raise bad_request(f"{key} needs a path")
    if key == "file":
        files[path] = _regular(path, value)
    elif key == "lfsFile":
        files[path] = _pointer(path, value, objects)
    elif key in ("deletedFile", "deletedFolder"):
        _delete(path.rstrip("/"), files, base, folder=key == "deletedFolder")
    else:
        raise bad_request(f"unknown key: {key}")


def _regular(path: str, value: dict[str, Any]) -> File:
    try:
        if value.get("encoding", "utf-8") == "base64":
            content = base64.b64decode(value["content"], validate=True)
        else:
            content = value["content"].encode()
    except (KeyError, TypeError, AttributeError, binascii.Error):
        raise bad_request(f"{path}: the content cannot be decoded") from None
    check_regular_size(path, content)
    if path == "README.md":
        errors, _ = cards.problems(content.decode(errors="replace"))
        if errors:
            raise bad_request(f"Invalid metadata in README.md: {'; '.join(errors)}")
    return File.regular(content)


def _pointer(path: str, value: dict[str, Any], objects: dict[str, bytes]) -> File:
    oid = value.get("oid")
    if value.get("algo", "sha256") != "sha256" or not isinstance(oid, str) or not re.fullmatch("[0-9a-f]{64}", oid):
        raise bad_request(f"{path}: an LFS file needs the sha256 of its object")
    if oid not in objects:
        raise bad_request(f"{path}: LFS pointer to an object that does not exist: {oid}")
    if value.get("size", len(objects[oid])) != len(objects[oid]):
        raise bad_request(f"{path}: LFS pointer with a wrong size")
    return File.pointer(oid, len(objects[oid]))


def _delete(path: str, files: Files, base: Commit, *, folder: bool) -> None:
    doomed = [name for name in files if (name.startswith(f"{path}/") if folder else name == path)]
    if not doomed:
        raise entry_not_found(f"A {'folder' if folder else 'file'} with this name doesn't exist: {path}", base.id)
    for name in doomed:
        del files[name]
