"""The real client against the hub of the tests, each time in a process of its own: it reads its settings at import.

GANZOO_TEST_HUB_PYTHON names an interpreter with another version of huggingface_hub.
"""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from . import faults
from .repository import GITATTRIBUTES, File, folder_ids
from .server import HubServer

PYTHON = os.environ.get("GANZOO_TEST_HUB_PYTHON", sys.executable)

WEIGHTS = random.Random(0).randbytes(300_000)
SHA256 = hashlib.sha256(WEIGHTS).hexdigest()
CONFIG = b'{"architecture": "mlp"}\n'
CARD = b"""---
license: mit
library_name: ganzoo
pipeline_tag: unconditional-image-generation
tags: [gan]
datasets: [ylecun/mnist]
---
# My GAN
"""

CLIENT = """
import hashlib, json, os, socket, sys, time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

lookups, look_up = [], socket.getaddrinfo
def only_this_machine(host, *rest, **options):
    if host not in ("127.0.0.1", "localhost"):
        lookups.append(str(host))
        raise OSError("the tests stay on this machine")
    return look_up(host, *rest, **options)
socket.getaddrinfo = only_this_machine

from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi, hf_hub_download, snapshot_download

api = HfApi()
def attempt(function, *arguments, **options):
    try:
        return function(*arguments, **options)
    except Exception as error:
        response = getattr(error, "response", None)
        return {"error": type(error).__name__, "status": getattr(response, "status_code", None), "text": str(error)}
def files(folder):
    return {p.relative_to(folder).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest()
            for p in Path(folder).rglob("*") if p.is_file() and ".cache" not in p.parts}
def add(path, content):
    return CommitOperationAdd(path, content)
"""

Client = Callable[..., Any]


def run_client(hub: HubServer, home: Path, script: str, **environment: str) -> Any:
    """Run a script that sets `answer`, in an empty folder; return the answer."""
    home.mkdir(parents=True, exist_ok=True)
    settings = {
        "HF_ENDPOINT": hub.url,
        "HF_HOME": str(home / "hf"),
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_DISABLE_UPDATE_CHECK": "1",
        "HF_HUB_DOWNLOAD_TIMEOUT": "1",
        "HOME": str(home),
        "PATH": os.environ.get("PATH", ""),
        **environment,
    }
    finish = "\nprint(json.dumps({'answer': answer, 'lookups': lookups}, default=str))"
    result = subprocess.run(
        [PYTHON, "-c", CLIENT + script + finish],
        cwd=home,
        env=settings,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    told = json.loads(result.stdout.splitlines()[-1])
    assert told["lookups"] == []
    return told["answer"]


@pytest.fixture
def hub() -> Iterator[HubServer]:
    with HubServer(page_size=3) as hub:
        hub.add_user("you", "hf_you", orgs=["lab"])
        hub.add_user("you", "hf_you_read", write=False)
        hub.add_user("me", "hf_me")
        yield hub


@pytest.fixture
def client(hub: HubServer, tmp_path: Path) -> Client:
    """Run a script with a token, by default the owner's."""

    def run(script: str, token: str | None = "hf_you", **environment: str) -> Any:
        tokens = {"HF_TOKEN": token} if token else {}
        return run_client(hub, tmp_path / "client", script, **tokens, **environment)

    return run


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def ask(
    url: str, method: str = "GET", body: bytes | None = None, token: str | None = None, **headers: str
) -> tuple[int, http.client.HTTPMessage, bytes]:
    """Send one request without a client's help."""
    parts = urlsplit(url)
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    with closing(http.client.HTTPConnection(parts.netloc, timeout=10)) as connection:
        connection.request(method, f"{parts.path}?{parts.query}", body, headers)
        response = connection.getresponse()
        return response.status, response.headers, response.read()


# A repository's life


PUSH = """
content = Path("model.safetensors")
content.write_bytes(bytes.fromhex(os.environ["WEIGHTS"]) * 2)
url = api.create_repo("you/my-gan", private=True)
again = api.create_repo("you/my-gan", exist_ok=True)
made = api.create_commit("you/my-gan", commit_message="First", commit_description="of all", operations=[
    add("README.md", os.environ["CARD"].encode()), add("config.json", b"{}"),
    add("model.safetensors", str(content)), add("samples/grid.png", b"\\x89PNG\\0"), add("samples/notes.txt", b"hi")])
nothing_new = api.create_commit("you/my-gan", [add("config.json", b"{}")], commit_message="Nothing")
api.create_tag("you/my-gan", tag="v1", revision=made.oid)
info = api.repo_info("you/my-gan", files_metadata=True)
answer = {
    "who": api.whoami()["orgs"][0]["name"], "url": str(url), "again": str(again), "commit": made.oid,
    "nothing_new": nothing_new.oid, "sha": info.sha, "private": info.private, "library": info.library_name,
    "tags": info.tags, "license": info.card_data.license,
    "files": {s.rfilename: [s.size, s.blob_id, s.lfs and s.lfs.sha256] for s in info.siblings},
    "one": files(Path(hf_hub_download("you/my-gan", "model.safetensors", revision="v1", local_dir="one")).parent),
    "all": files(snapshot_download("you/my-gan", local_dir="all")),
    "cached": files(snapshot_download("you/my-gan", revision=made.oid)),
}
"""


@pytest.mark.parametrize("part_size", [1 << 20, 70], ids=["in one piece", "in parts"])
def test_a_push_is_pulled_back(hub: HubServer, client: Client, part_size: int) -> None:
    hub.part_size = part_size
    weights = WEIGHTS[:100] * 2
    answer = client(PUSH, WEIGHTS=WEIGHTS[:100].hex(), CARD=CARD.decode())
    expected = {
        ".gitattributes": GITATTRIBUTES,
        "README.md": CARD,
        "config.json": b"{}",
        "model.safetensors": weights,
        "samples/grid.png": b"\x89PNG\0",
        "samples/notes.txt": b"hi",
    }
    digests = {path: sha256(content) for path, content in expected.items()}
    repository = hub.repo("you/my-gan")
    assert repository.files() == expected
    assert (answer["one"], answer["all"]) == ({"model.safetensors": digests["model.safetensors"]}, digests)
    assert answer["cached"] == digests
    assert answer["url"] == answer["again"] == f"{hub.url}/you/my-gan"
    assert answer["commit"] == answer["nothing_new"] == answer["sha"] == repository.head().id == repository.tags["v1"]
    assert [commit.title for commit in repository.history()] == ["First", "initial commit"]
    assert (answer["private"], answer["library"], answer["license"], answer["who"]) == (True, "ganzoo", "mit", "lab")
    assert {"gan", "ganzoo", "license:mit", "dataset:ylecun/mnist"} <= set(answer["tags"])
    assert answer["files"]["model.safetensors"][0::2] == [200, digests["model.safetensors"]]
    assert answer["files"]["samples/grid.png"][2] == digests["samples/grid.png"]
    assert answer["files"]["config.json"] == [2, File.regular(b"{}").blob_id, None]
    assert len(hub.requested("PUT /parts/*")) == (3 if part_size == 70 else 0)
    assert hub.requested("PUT *")
    assert hub.requested("POST */verify")
    assert hub.leaks() == []


def test_ids_are_those_of_git() -> None:
    assert File.regular(b"hello\n").blob_id == "ce013625030ba8dba906f756967f9e9ca394464a"
    assert folder_ids({})[""] == "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
    contents = {"a/b.txt": b"", "a/c/d": b"\0", "a-b": b"x", "a.b/h": b"h", "e/f/g": b"g"}
    ids = folder_ids({path: File.regular(content) for path, content in contents.items()})
    assert ids[""] == "1bc5b385ce9f40c89dab32be934f53a3e38ca35b"
    assert ids["e/f"] == "b9686d4a2c7c04277dce7e9803d089e070771cff"


BROWSE = """
api.create_branch("you/my-gan", branch="next")
answer = {
    "tree": sorted(f.path for f in api.list_repo_tree("you/my-gan", recursive=True)),
    "folder": [[f.path, f.last_commit.title] for f in api.list_repo_tree("you/my-gan", "a", expand=True)],
    "top": [f.path for f in api.list_repo_tree("you/my-gan")],
    "paths": [f.path for f in api.get_paths_info("you/my-gan", ["a", "a/1", "gone"])],
    "commits": [c.title for c in api.list_repo_commits("you/my-gan")],
    "branches": sorted(b.name for b in api.list_repo_refs("you/my-gan").branches),
    "exists": [api.file_exists("you/my-gan", "a/1"), api.file_exists("you/my-gan", "gone")],
    "same branch": attempt(api.create_branch, "you/my-gan", branch="next"),
    "no folder": attempt(lambda: list(api.list_repo_tree("you/my-gan", "gone"))),
    "no tag": attempt(api.delete_tag, "you/my-gan", tag="v9"),
    "same tag": [attempt(api.create_tag, "you/my-gan", tag="v1") for _ in range(2)],
    "no revision": attempt(api.repo_info, "you/my-gan", revision="v9"),
    "no file": attempt(hf_hub_download, "you/my-gan", "gone"),
}
api.delete_tag("you/my-gan", tag="v1")
api.delete_branch("you/my-gan", branch="next")
api.update_repo_settings("you/my-gan", private=True)
answer["private"] = api.repo_info("you/my-gan").private
api.delete_repo("you/my-gan")
"""


def test_files_commits_and_refs_are_listed_page_by_page(hub: HubServer, client: Client) -> None:
    hub.add_repo("you/my-gan", {f"a/{number}": b"%d" % number for number in range(5)})
    for number in range(4):
        hub.commit("you/my-gan", {"a/1": b"new %d" % number}, f"Change {number}")
    answer = client(BROWSE)
    assert answer["tree"] == [".gitattributes", "a", *(f"a/{number}" for number in range(5))]
    assert answer["folder"][:2] == [["a/0", "Add files"], ["a/1", "Change 3"]]
    assert answer["top"] == [".gitattributes", "a"]
    assert answer["paths"] == ["a", "a/1"]
    assert answer["commits"] == ["Change 3", "Change 2", "Change 1", "Change 0", "Add files", "initial commit"]
    assert answer["branches"] == ["main", "next"]
    assert answer["exists"] == [True, False]
    assert answer["same branch"]["status"] == answer["same tag"][1]["status"] == 409
    assert answer["same tag"][0] is None
    assert answer["no folder"]["error"] == answer["no file"]["error"] == "RemoteEntryNotFoundError"
    assert answer["no tag"]["error"] == answer["no revision"]["error"] == "RevisionNotFoundError"
    assert answer["private"] is True
    assert hub.repositories == {}


def test_models_are_found_by_tag_author_and_name(hub: HubServer, client: Client) -> None:
    for number in range(7):
        hub.add_repo(f"lab/gan-{number}", {"README.md": CARD}, tags=["even"] if number % 2 == 0 else [])
    hub.add_repo("me/gan", {}, library_name="ganzoo", downloads=7)
    hub.add_repo("me/secret-gan", {"README.md": CARD}, private=True)
    answer = client("""
names = lambda **options: [m.id for m in api.list_models(**options)]
answer = {
    "tag": names(filter="ganzoo"), "tags": names(filter=["ganzoo", "even"]), "author": names(author="me"),
    "search": names(search="GAN-3"), "limit": names(limit=2),
    "downloads": list(api.list_models(author="me"))[0].downloads,
    "card": [m.card_data.license for m in api.list_models(search="gan-3", cardData=True, full=True)],
}
""")
    assert answer["tag"] == [f"lab/gan-{number}" for number in range(7)]
    assert answer["tags"] == [f"lab/gan-{number}" for number in range(0, 7, 2)]
    assert (answer["author"], answer["downloads"]) == (["me/gan"], 7)
    assert (answer["search"], answer["card"]) == (["lab/gan-3"], ["mit"])
    assert answer["limit"] == ["lab/gan-0", "lab/gan-1"]


def test_a_header_is_read_by_ranges(hub: HubServer, client: Client) -> None:
    header = json.dumps({"w": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}).encode()
    hub.add_repo("you/my-gan", {"model.safetensors": len(header).to_bytes(8, "little") + header + bytes(8)})
    script = (
        'answer = api.get_safetensors_metadata("you/my-gan").files_metadata["model.safetensors"].tensors["w"].shape'
    )
    assert client(script) == [2]
    assert [record.status for record in hub.requested("GET /objects/*")] == [206]


def test_a_regular_file_may_be_behind_a_redirect(hub: HubServer, client: Client) -> None:
    hub.resolve_cache = True
    commit = hub.add_repo("you/my-gan", {"folder/a b.json": CONFIG}, private=True)
    assert client('answer = files(snapshot_download("you/my-gan", local_dir="all"))')["folder/a b.json"] == sha256(
        CONFIG
    )
    assert len(hub.requested(f"GET /api/resolve-cache/models/you/my-gan/{commit}/folder/a b.json")) == 1


# Who may do what


RIGHTS = """
def said(function, *arguments, **options):
    value = attempt(function, *arguments, **options)
    return [value["error"], value["status"]] if isinstance(value, dict) else "done"
token = os.environ.get("HF_TOKEN")
answer = {
    "missing": said(hf_hub_download, "you/none", "config.json"),
    "private": said(hf_hub_download, "you/private", "config.json"),
    "private info": said(api.repo_info, "you/private"),
    "gated": said(hf_hub_download, "you/gated", "config.json"),
    "gated info": said(api.repo_info, "you/gated"),
    "check": said(api.auth_check, "you/gated"),
    "public": said(hf_hub_download, "you/public", "config.json"),
    "commit": said(api.create_commit, "you/public", [add("a", b"a")], commit_message="a"),
    "create": said(api.create_repo, "you/new"),
}
"""
MISSING, GATED, HTTP = "RepositoryNotFoundError", "GatedRepoError", "HfHubHTTPError"


@pytest.mark.parametrize(
    ("token", "expected"),
    [
        ("hf_you", {"missing": [MISSING, 404]}),
        (
            "hf_you_read",
            {"missing": [MISSING, 404], "commit": [HTTP, 403], "create": [HTTP, 403]},
        ),
        (
            "hf_me",
            {
                "missing": [MISSING, 404],
                "private": [MISSING, 404],
                "private info": [MISSING, 404],
                "gated": [GATED, 403],
                "check": [GATED, 403],
                "commit": [HTTP, 403],
                "create": [HTTP, 403],
            },
        ),
        (
            None,
            {
                "missing": [MISSING, 401],
                "private": [MISSING, 401],
                "private info": [MISSING, 401],
                "gated": [GATED, 401],
                "check": [GATED, 401],
                "commit": [HTTP, 401],
                "create": [HTTP, 401],
            },
        ),
    ],
    ids=["owner", "owner with a read token", "somebody else", "nobody"],
)
def test_everybody_is_told_what_the_hub_would_say(
    hub: HubServer, client: Client, token: str | None, expected: Mapping[str, list[Any]]
) -> None:
    for name, options in {"private": {"private": True}, "gated": {"gated": True}, "public": {}}.items():
        hub.add_repo(f"you/{name}", {"config.json": CONFIG}, **options)
    answer = client(RIGHTS, token)
    assert answer == {**dict.fromkeys(answer, "done"), **expected}
    assert hub.leaks() == []


def test_a_granted_user_reads_a_gated_repo(hub: HubServer, client: Client) -> None:
    hub.add_repo("you/gated", {"config.json": CONFIG}, gated="manual")
    hub.repo("you/gated").granted.add("me")
    assert client('answer = files(Path(hf_hub_download("you/gated", "config.json", local_dir="d")).parent)', "hf_me")


def test_an_unknown_token_is_called_that(hub: HubServer) -> None:
    hub.add_repo("you/my-gan", {})
    status, headers, body = ask(f"{hub.url}/api/models/you/my-gan", token="hf_stolen")
    assert (status, headers["X-Error-Code"]) == (401, None)
    assert headers["X-Error-Message"] == json.loads(body)["error"] == "Invalid credentials in Authorization header"


# Files


def test_ranges_and_sizes_of_a_regular_file(hub: HubServer) -> None:
    commit = hub.add_repo("you/my-gan", {"config.json": b"0123456789"})
    url = f"{hub.url}/you/my-gan/resolve/main/config.json"
    status, headers, body = ask(url, "HEAD")
    assert (status, headers["Content-Length"], headers["X-Repo-Commit"], body) == (200, "10", commit, b"")
    assert headers["ETag"] == f'"{File.regular(b"0123456789").blob_id}"'
    for wanted, status, content in [("2-4", 206, b"234"), ("8-", 206, b"89"), ("-3", 206, b"789"), ("10-", 416, b"")]:
        assert ask(url, Range=f"bytes={wanted}")[::2] == (status, content)
    missing = ask(f"{hub.url}/you/my-gan/resolve/main/gone")
    assert (missing[0], missing[1]["X-Error-Code"], missing[1]["X-Repo-Commit"]) == (404, "EntryNotFound", commit)


def test_storage_wants_a_signature_and_no_token(hub: HubServer) -> None:
    hub.add_repo("you/my-gan", {"model.safetensors": WEIGHTS})
    status, headers, _ = ask(f"{hub.url}/you/my-gan/resolve/main/model.safetensors")
    location = headers["Location"]
    assert (status, headers["X-Linked-Size"], headers["X-Linked-ETag"]) == (302, "300000", f'"{SHA256}"')
    assert urlsplit(location).hostname == "localhost"
    assert ask(location)[0::2] == (200, WEIGHTS)
    assert ask(location, token="hf_you")[0] == 400
    assert ask(location[:-1])[0] == 403
    assert [record.status for record in hub.leaks()] == [400]


def test_storage_takes_only_what_was_announced(hub: HubServer) -> None:
    hub.add_repo("you/my-gan", {})
    wanted = {"operation": "upload", "transfers": ["basic"], "objects": [{"oid": SHA256, "size": len(WEIGHTS)}]}
    batch = f"{hub.url}/you/my-gan.git/info/lfs/objects/batch"
    reply = json.loads(ask(batch, "POST", json.dumps(wanted).encode(), "hf_you")[2])
    actions = reply["objects"][0]["actions"]
    told = json.dumps(wanted["objects"][0]).encode()
    assert ask(actions["upload"]["href"], "PUT", WEIGHTS[:-1])[0] == 422
    assert ask(actions["upload"]["href"], "PUT", faults.damaged(WEIGHTS, 7))[0] == 422
    assert ask(actions["verify"]["href"], "POST", told, "hf_you")[0] == 404
    assert ask(actions["upload"]["href"], "PUT", WEIGHTS)[0] == 200
    assert ask(actions["verify"]["href"], "POST", told, "hf_you")[0] == 200
    reply = json.loads(ask(batch, "POST", json.dumps(wanted).encode(), "hf_you")[2])
    assert reply["objects"] == [{"oid": SHA256, "size": len(WEIGHTS)}]


# Commits


def commit_row(key: str, **value: object) -> dict[str, object]:
    return {"key": key, "value": value}


FINE = commit_row("file", path="a.txt", content="YQ==", encoding="base64")


@pytest.mark.parametrize(
    ("rows", "status"),
    [
        ([commit_row("header", summary="x", parentCommit="0" * 40), FINE], 412),
        ([FINE], 400),
        ([commit_row("header", summary=""), FINE], 400),
        ([commit_row("header", summary="x"), FINE, commit_row("lfsFile", path="b", algo="sha256", oid="0" * 64)], 400),
        ([commit_row("header", summary="x"), FINE, commit_row("file", path="b", content="?", encoding="base64")], 400),
        ([commit_row("header", summary="x"), FINE, commit_row("file", path="../b", content="")], 400),
        ([commit_row("header", summary="x"), FINE, commit_row("file", path="a.txt/b", content="")], 400),
        ([commit_row("header", summary="x"), FINE, commit_row("file", path="README.md", content="---\n[\n---\n")], 400),
        ([commit_row("header", summary="x"), FINE, commit_row("unheardOf", path="b")], 400),
        ([commit_row("header", summary="x"), FINE, commit_row("deletedFile", path="gone")], 404),
        ([commit_row("header", summary="x"), FINE, commit_row("deletedFolder", path="gone/")], 404),
        (["not a row"], 400),
    ],
)
def test_a_refused_commit_changes_nothing(hub: HubServer, rows: list[object], status: int) -> None:
    before = hub.add_repo("you/my-gan", {"config.json": CONFIG})
    body = b"".join(json.dumps(row).encode() + b"\n" for row in rows)
    answer = ask(f"{hub.url}/api/models/you/my-gan/commit/main", "POST", body, "hf_you")
    assert answer[0] == status
    repository = hub.repo("you/my-gan")
    assert repository.head().id == before
    assert len(repository.commits) == 2


def test_files_are_deleted_and_pull_requests_are_opened(hub: HubServer, client: Client) -> None:
    parent = hub.add_repo("you/my-gan", {"a/1": b"1", "a/2": b"2", "b": b"b"})
    hub.repo("you/my-gan").refs["refs/tags/v1"] = parent
    answer = client(
        f"""
commit = lambda operations, **options: api.create_commit("you/my-gan", operations, commit_message="m", **options)
request = commit([add("c", b"c")], create_pr=True)
answer = {{
    "request": [request.pr_revision, request.pr_num],
    "read": Path(hf_hub_download("you/my-gan", "c", revision="refs/pr/1")).read_text(),
    "stale": attempt(commit, [add("d", b"d")], parent_commit="{"0" * 40}"),
    "tag": attempt(commit, [add("d", b"d")], revision="v1"),
    "requests": [p.ref for p in api.list_repo_refs("you/my-gan", include_pull_requests=True).pull_requests],
}}
""",
        "hf_me",
    )
    assert (answer["request"], answer["read"]) == (["refs/pr/1", 1], "c")
    assert answer["requests"] == ["refs/pr/1"]
    assert [answer[name]["status"] for name in ("stale", "tag")] == [403, 403]
    answer = client(
        f"""
commit = lambda operations, **options: api.create_commit("you/my-gan", operations, commit_message="m", **options)
delete = CommitOperationDelete
answer = [attempt(commit, [add("d", b"d")], parent_commit="{"0" * 40}"),
          attempt(commit, [add("d", b"d")], revision="v1"),
          attempt(commit, [delete("a/"), delete("b")], parent_commit="{parent}") and None]
"""
    )
    assert [value and value["status"] for value in answer] == [412, 400, None]
    assert hub.repo("you/my-gan").paths() == [".gitattributes"]
    assert hub.repo("you/my-gan").paths("refs/pr/1") == [".gitattributes", "a/1", "a/2", "b", "c"]


# Misbehaviour in a download: all of it in one process, as most of it is waiting


BIG = WEIGHTS[:131_072] + bytes(11 << 20)
"""More than the 10 MB in which the client writes, so that it resumes with a range."""


def plan_downloads(hub: HubServer) -> list[str]:
    """Give every misbehaviour a repository of its own; return their names."""
    body, head, both = "GET /objects/*/{}.bin", "HEAD */{}.bin", "* */{}.bin"
    plans: dict[str, list[tuple[str, faults.Fault, int | None]]] = {
        "cut": [(body, faults.Cut(), 1)],
        "reset": [(body, faults.Reset(), 1)],
        "stall": [(body, faults.Stall(), 1)],
        "drip": [(body, faults.Drip(200_000), 1)],
        "drop": [(body, faults.Drop(), 1)],
        "status-500": [(body, faults.Status(500), 1)],
        "status-503": [(body, faults.Status(503), 1)],
        "status-503-of-head": [(head, faults.Status(503), 1)],
        "too-many-requests": [(body, faults.TooManyRequests(1), 1)],
        "length-too-long": [(body, faults.WrongLength(10), 1)],
        "length-too-short": [(body, faults.WrongLength(-10), 1)],
        "size-of-body": [(body, faults.LyingSize(1000), 1)],
        "lying-size": [(both, faults.LyingSize(1000), None)],
        "no-length": [(head, faults.Header("X-Linked-Size", None), 1), (body, faults.NoLength(5000), 1)],
        "flipped-byte": [(body, faults.FlippedByte(), 1)],
        "changed-etag": [(head, faults.ChangedETag(), 1)],
        "html-body": [(body, faults.html_page(), 1)],
        "html-head": [(head, faults.html_page(), None)],
        "redirect-of-body": [(body, faults.Redirect(hub.elsewhere), 1)],
        "redirect-of-head": [(head, faults.Redirect(hub.elsewhere), None)],
        "big-cut": [(body, faults.Cut(11 << 20), 1)],
        "big-ignored-range": [(body, faults.Cut(11 << 20), 1), (body, faults.IgnoredRange(), 1)],
        "big-wrong-range": [(body, faults.Cut(11 << 20), 1), (body, faults.WrongRange(), 1)],
    }
    for name, steps in plans.items():
        hub.add_repo(f"you/{name}", {f"{name}.bin": BIG if name.startswith("big-") else WEIGHTS})
        for pattern, fault, times in steps:
            hub.misbehave(pattern.format(name), fault, times)
    return list(plans)


DOWNLOAD = """
def download(name):
    start = time.monotonic()
    value = attempt(hf_hub_download, f"you/{name}", f"{name}.bin", local_dir=name)
    if isinstance(value, str):
        value = {"size": Path(value).stat().st_size, "sha256": files(name)[f"{name}.bin"]}
    return {"error": None, "status": None, **value, "seconds": time.monotonic() - start}
names = os.environ["NAMES"].split()
with ThreadPoolExecutor(len(names)) as pool:
    answer = dict(zip(names, pool.map(download, names)))
"""


@pytest.fixture(scope="module")
def downloads(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, dict[str, Any]], HubServer]:
    """What became of every download, and the hub that was asked."""
    with HubServer() as hub:
        hub.add_user("you", "hf_you")
        names = " ".join(plan_downloads(hub))
        answer = run_client(hub, tmp_path_factory.mktemp("downloads"), DOWNLOAD, NAMES=names, HF_TOKEN="hf_you")
    return answer, hub


RIGHT, WRONG = {"error": None, "sha256": SHA256}, {"error": None, "size": len(WEIGHTS), "sha256": "another"}
INCONSISTENT = {"error": "OSError", "text": "Consistency check failed"}


@pytest.mark.parametrize(
    ("name", "expected", "statuses"),
    [
        ("cut", RIGHT, [200, 200]),
        ("reset", {"error": "ReadError"}, [200]),
        ("stall", RIGHT, [200, 200]),
        ("drip", RIGHT, [200]),
        ("drop", RIGHT, [0, 200]),
        ("status-500", {"error": "HfHubHTTPError", "status": 500}, [500]),
        ("status-503", {"error": "HfHubHTTPError", "status": 503}, [503]),
        ("status-503-of-head", RIGHT, [200]),
        ("too-many-requests", RIGHT, [429, 200]),
        ("length-too-long", RIGHT, [200, 200]),
        ("length-too-short", INCONSISTENT, [200]),
        ("size-of-body", INCONSISTENT, [200]),
        ("lying-size", {"error": None, "size": 1000}, [200]),
        ("no-length", {"error": None, "size": 5000}, [200]),
        ("flipped-byte", WRONG, [200]),
        ("changed-etag", RIGHT, [200]),
        ("html-body", INCONSISTENT, [200]),
        ("html-head", {"error": "LocalEntryNotFoundError"}, []),
        ("redirect-of-body", INCONSISTENT, [302]),
        ("redirect-of-head", {"error": "LocalEntryNotFoundError"}, []),
        ("big-cut", {"error": None, "sha256": sha256(BIG)}, [200, 206]),
        ("big-ignored-range", {"error": None, "sha256": sha256(BIG)}, [200, 200]),
        ("big-wrong-range", {"error": None, "size": len(BIG), "sha256": "another"}, [200, 206]),
    ],
)
def test_a_download_meets_misbehaviour(
    downloads: tuple[dict[str, dict[str, Any]], HubServer], name: str, expected: dict[str, Any], statuses: list[int]
) -> None:
    answers, hub = downloads
    answer = answers[name]
    right = sha256(BIG if name.startswith("big-") else WEIGHTS)
    answer = {**answer, "sha256": right if answer.get("sha256") == right else "another"}
    assert expected.get("text", "") in answer.get("text", "")
    assert {key: answer[key] for key in expected if key != "text"} == {k: v for k, v in expected.items() if k != "text"}
    assert [record.status for record in hub.requested(f"GET /objects/*/{name}.bin")] == statuses


def test_all_that_was_planned_happened_and_no_token_left(
    downloads: tuple[dict[str, dict[str, Any]], HubServer],
) -> None:
    answers, hub = downloads
    assert all(misbehaviour.happened for misbehaviour in hub.mischief.planned)
    assert hub.requested("GET /elsewhere/*")
    assert hub.leaks() == []
    assert answers["drip"]["seconds"] > 1.2  # longer than the client's read timeout
    assert answers["too-many-requests"]["seconds"] > 1


# Misbehaviour elsewhere


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (faults.html_page(), "JSONDecodeError"),
        (faults.Status(500), "HfHubHTTPError"),
        (faults.TooManyRequests(1), "HfHubHTTPError"),
        (faults.Drop(), "RemoteProtocolError"),
        (faults.Cut(), "RemoteProtocolError"),
        (faults.Redirect("elsewhere"), "JSONDecodeError"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, faults.Fault) else value,
)
def test_a_question_meets_misbehaviour(hub: HubServer, client: Client, fault: faults.Fault, error: str) -> None:
    hub.add_repo("you/my-gan", {}, private=True)
    fault = faults.Redirect(hub.elsewhere) if isinstance(fault, faults.Redirect) else fault
    planned = hub.misbehave("GET /api/models/you/my-gan", fault)
    answer = client('answer = [attempt(api.repo_info, "you/my-gan"), api.repo_info("you/my-gan").id]')
    assert answer[0]["error"] == error
    assert (answer[1], planned.happened) == ("you/my-gan", 1)
    assert hub.leaks() == []


UPLOAD = """
answer = attempt(lambda: api.create_commit("you/my-gan", commit_message="m", operations=[
    add("model.safetensors", bytes.fromhex(os.environ["WEIGHTS"])), add("config.json", b"{}")]).oid)
"""


@pytest.mark.parametrize(
    ("pattern", "fault", "error", "written"),
    [
        ("PUT *", faults.Status(500), None, True),
        ("POST */commit/main", faults.Status(500), "HfHubHTTPError", False),
        ("POST */commit/main", faults.Status(500, processed=True), "HfHubHTTPError", True),
        ("POST */commit/main", faults.Drop(), "RemoteProtocolError", False),
        ("POST */commit/main", faults.Drop(reset=True), "ReadError", False),
        ("POST */commit/main", faults.Drop(processed=True), "RemoteProtocolError", True),
        ("PUT *", "lost", "RuntimeError", False),
        ("PUT *", "corrupted", None, True),
    ],
)
def test_a_push_meets_misbehaviour(
    hub: HubServer, client: Client, pattern: str, fault: faults.Fault | str, error: str | None, written: bool
) -> None:
    hub.add_repo("you/my-gan", {})
    storage = {"lost": faults.LostWrite(hub.objects), "corrupted": faults.CorruptedWrite(hub.objects)}
    planned = hub.misbehave(pattern, storage[fault] if isinstance(fault, str) else fault)
    answer = client(UPLOAD, WEIGHTS=WEIGHTS[:1000].hex())
    repository = hub.repo("you/my-gan")
    assert planned.happened == 1
    assert (answer["error"] if isinstance(answer, dict) else None) == error
    assert (repository.paths() == [".gitattributes", "config.json", "model.safetensors"]) is written
    if written:
        assert (repository.read("model.safetensors") == WEIGHTS[:1000]) is (fault != "corrupted")
    else:
        assert repository.paths() == [".gitattributes"]


def test_of_two_faults_the_first_planned_comes_first(hub: HubServer) -> None:
    commit = hub.add_repo("you/my-gan", {"config.json": CONFIG})
    hub.misbehave("GET */config.json", faults.Status(503))
    hub.misbehave("GET */config.json", faults.Header("X-Repo-Commit", "0" * 40))
    replies = [ask(f"{hub.url}/you/my-gan/resolve/main/config.json") for _ in range(3)]
    assert [reply[0] for reply in replies] == [503, 200, 200]
    assert [reply[1]["X-Repo-Commit"] for reply in replies] == [None, "0" * 40, commit]


# The server itself


def test_closing_ends_a_stalled_answer() -> None:
    with HubServer() as hub:
        hub.add_repo("you/my-gan", {"config.json": CONFIG})
        hub.misbehave("GET *", faults.Stall())
        connection = http.client.HTTPConnection(urlsplit(hub.url).netloc, timeout=10)
        connection.request("GET", "/you/my-gan/resolve/main/config.json")
        response = connection.getresponse()
        start = time.monotonic()
    assert time.monotonic() - start < 2
    with closing(connection), closing(response), pytest.raises(http.client.IncompleteRead):
        response.read()
    assert [thread.name for thread in threading.enumerate() if "process_request" in thread.name] == []


def test_a_bug_in_the_server_is_not_taken_for_misbehaviour(monkeypatch: pytest.MonkeyPatch) -> None:
    hub = HubServer()
    monkeypatch.setattr(hub, "_caller", lambda request: 1 / 0)
    with pytest.raises(AssertionError, match="ZeroDivisionError"), hub:
        assert ask(hub.url)[0] == 500
