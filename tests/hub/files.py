"""Files going out and coming in: resolve, LFS, and the storage behind it on a host of its own."""

from __future__ import annotations

import hashlib
import re
from math import ceil
from typing import Any
from xml.sax.saxutils import escape

from .faults import HTML
from .refusals import RefusalError, bad_request
from .repository import File, Repository
from .routes import Call, Routes, quoted
from .wire import Reply, content_reply, json_reply

route = Routes()
storage_route = Routes()

LFS_JSON = {"Content-Type": "application/vnd.git-lfs+json"}
RESOLVE = "/{kind:|datasets/|spaces/}{owner}/{name}/resolve/{revision}/{path:*}"
LFS = "/{kind:|datasets/|spaces/}{owner}/{name}.git/info/lfs"


# Out


@route("GET", RESOLVE)
def resolve(call: Call) -> Reply:
    repository = call.readable()
    commit = repository.head(call.revision)
    path = call.parts["path"]
    file = commit.file(path)
    name = path.rsplit("/", 1)[-1]
    headers = {
        "X-Repo-Commit": commit.id,
        "Accept-Ranges": "bytes",
        "Content-Disposition": f'inline; filename="{name}";',
    }
    if file.sha256:
        return _redirect_to_storage(call, file, name, headers)
    if call.hub.resolve_cache:
        target = f"/api/resolve-cache/{repository.kind}/{quoted(repository.id)}/{commit.id}/{quoted(path)}"
        return Reply(307, b"", {**headers, "Location": target, "ETag": f'"{file.etag}"'})
    return _send(call, repository, file, headers)


@route("GET", "/api/resolve-cache/{kind}/{owner}/{name}/{revision}/{path:*}")
def resolve_cache(call: Call) -> Reply:
    repository = call.readable()
    commit = repository.head(call.revision)
    return _send(call, repository, commit.file(call.parts["path"]), {"X-Repo-Commit": commit.id})


def _send(call: Call, repository: Repository, file: File, headers: dict[str, str]) -> Reply:
    return content_reply(call.request, repository.content(file), {**headers, "ETag": f'"{file.etag}"'})


def _redirect_to_storage(call: Call, file: File, name: str, headers: dict[str, str]) -> Reply:
    target = call.hub.signed(f"/objects/{file.sha256}/{quoted(name)}", expires="3600")
    linked = {"Location": target, "X-Linked-Size": str(file.size), "X-Linked-ETag": f'"{file.sha256}"'}
    return Reply(302, f"Found. Redirecting to {target}".encode(), {**headers, **linked, "Content-Type": "text/plain"})


# In


@route("POST", f"{LFS}/objects/batch")
def batch(call: Call) -> Reply:
    call.writable(pull_request=True)
    wanted = call.request.json()
    if wanted.get("operation") != "upload" or wanted.get("hash_algo", "sha256") != "sha256":
        raise bad_request("only uploads by sha256 are supported here")
    multipart = "multipart" in wanted.get("transfers", ["basic"])
    rows = [_batch_row(call, row, multipart=multipart) for row in wanted.get("objects", [])]
    in_parts = any("chunk_size" in row.get("actions", {}).get("upload", {}).get("header", {}) for row in rows)
    return json_reply({"transfer": "multipart" if in_parts else "basic", "objects": rows}, headers=LFS_JSON)


def _batch_row(call: Call, wanted: dict[str, Any], *, multipart: bool) -> dict[str, Any]:
    oid, size = str(wanted.get("oid")), wanted.get("size")
    row: dict[str, Any] = {"oid": oid, "size": size}
    if not re.fullmatch("[0-9a-f]{64}", oid) or type(size) is not int or size < 0:
        return {**row, "error": {"code": 422, "message": "the object needs a sha256 and a size"}}
    if oid in call.hub.objects:
        return row
    upload = _multipart(call, oid, size) if multipart and size > call.hub.part_size else _basic(call, oid, size)
    folder = f"{call.hub.url}/{call.parts.get('kind') or ''}{call.repo_id}.git/info/lfs"
    return {**row, "actions": {"upload": upload, "verify": {"href": f"{folder}/verify"}}}


def _basic(call: Call, oid: str, size: int) -> dict[str, Any]:
    return {"href": call.hub.signed(f"/upload/{oid}", size=str(size)), "header": {}}


def _multipart(call: Call, oid: str, size: int) -> dict[str, Any]:
    header = {
        f"{number:05d}": call.hub.signed(f"/parts/{number}/{oid}", size=str(size))
        for number in range(1, ceil(size / call.hub.part_size) + 1)
    }
    completion = f"{call.hub.url}/api/complete_multipart?oid={oid}&size={size}"
    return {"href": completion, "header": {"chunk_size": str(call.hub.part_size), **header}}


@route("POST", "/api/complete_multipart")
def complete_multipart(call: Call) -> Reply:
    wanted, query = call.request.json(), call.request.query
    oid, size = query["oid"][0], int(query["size"][0])
    stored = call.hub.parts.get(oid, {})
    listed = {part["partNumber"]: part["etag"].strip('"') for part in wanted.get("parts", [])}
    if wanted.get("oid") != oid or listed != {number: md5(part) for number, part in stored.items()}:
        raise bad_request("the parts listed are not those uploaded")
    _store(call, oid, size, b"".join(part for _, part in sorted(stored.items())))
    del call.hub.parts[oid]
    return json_reply({})


@route("POST", f"{LFS}/verify")
def verify(call: Call) -> Reply:
    call.writable(pull_request=True)
    wanted = call.request.json()
    content = call.hub.objects.get(str(wanted.get("oid")))
    if content is None or len(content) != wanted.get("size"):
        raise RefusalError(404, "The object is not in storage")
    return json_reply({}, headers=LFS_JSON)


# Storage: no users and no tokens, only signed URLs


@storage_route("GET", "/objects/{oid}/{name:*}")
def read_object(call: Call) -> Reply:
    _require_signature(call)
    oid = call.parts["oid"]
    if oid not in call.hub.objects:
        return storage_error(404, "NoSuchKey", "The specified key does not exist.")
    return content_reply(call.request, call.hub.objects[oid], {"ETag": f'"{oid}"'})


@storage_route("PUT", "/upload/{oid}")
def write_object(call: Call) -> Reply:
    _require_signature(call)
    _store(call, call.parts["oid"], int(call.request.query["size"][0]), call.request.body)
    return Reply(200, b"", {"ETag": f'"{md5(call.request.body)}"'})


@storage_route("PUT", "/parts/{number}/{oid}")
def write_part(call: Call) -> Reply:
    _require_signature(call)
    call.hub.parts.setdefault(call.parts["oid"], {})[int(call.parts["number"])] = call.request.body
    return Reply(200, b"", {"ETag": f'"{md5(call.request.body)}"'})


@storage_route("GET", "/elsewhere/{path:*}")
def elsewhere(call: Call) -> Reply:
    """Serve a page that has nothing to do with the hub; whether a token comes along is seen in `hub.requests`."""
    return Reply(200, HTML, {"Content-Type": "text/html; charset=utf-8"})


def _require_signature(call: Call) -> None:
    if "Authorization" in call.request.headers:
        raise StorageRefusalError(400, "InvalidArgument", "Only one auth mechanism allowed")
    if not call.hub.is_signed(call.request.target):
        raise StorageRefusalError(403, "SignatureDoesNotMatch", "The request signature does not match.")


def _store(call: Call, oid: str, size: int, content: bytes) -> None:
    if len(content) != size:
        raise RefusalError(422, f"expected {size} bytes, got {len(content)}")
    if hashlib.sha256(content).hexdigest() != oid:
        raise RefusalError(422, "the content does not have the sha256 it was announced with")
    call.hub.objects[oid] = content


class StorageRefusalError(Exception):
    """A refusal in the words of an object store: XML, and none of the hub's headers."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.reply = storage_error(status, code, message)


def storage_error(status: int, code: str, message: str) -> Reply:
    body = (
        f"<?xml version='1.0' encoding='UTF-8'?><Error><Code>{code}</Code><Message>{escape(message)}</Message></Error>"
    )
    return Reply(status, body.encode(), {"Content-Type": "application/xml"})


def md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()
