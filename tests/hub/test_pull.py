"""Pulling, against a Hub that behaves and one that does not."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
import torch
from huggingface_hub import constants

import ganzoo
from ganzoo.errors import (
    DigestMismatchError,
    GanzooError,
    HubError,
    MissingWeightsError,
    UsageError,
    WeightsFormatError,
)
from ganzoo.hub import client, records
from ganzoo.hub.client import Access
from ganzoo.hub.search import search
from ganzoo.sources import planned, pull, remove, stored, verify
from ganzoo.weights.references import parse_hub_reference
from ganzoo.weights.store import Store
from tests.conftest import Ganzoo, InstallPlugin, assert_two_lines
from tests.hub import faults
from tests.hub.conftest import NAME
from tests.hub.server import HubServer
from tests.test_model import make_gan

REFERENCE = f"hf:{NAME}"


def written(home: Path) -> list[str]:
    """Every file in the store, but locks."""
    return sorted(str(path.relative_to(home)) for path in home.rglob("*") if path.is_file() and path.suffix != ".lock")


def test_a_repository_is_loaded_in_one_line(published: str) -> None:
    assert torch.equal(ganzoo.load(REFERENCE).sample(4, seed=0), make_gan().sample(4, seed=0))


def test_a_revision_is_resolved_once_and_then_asks_nothing(server: HubServer, published: str) -> None:
    assert pull(REFERENCE).reference == f"{REFERENCE}@{published}"
    server.commit(NAME, {"README.md": b"# changed\n"})
    before = len(server.requests)
    again = pull(REFERENCE)
    ganzoo.load(REFERENCE)
    assert verify(REFERENCE)
    assert again.reference == f"{REFERENCE}@{published}"
    assert again.written == 0
    assert len(server.requests) == before


def test_force_resolves_anew(server: HubServer, published: str) -> None:
    pull(REFERENCE)
    newer = server.commit(NAME, {"README.md": b"# changed\n"})
    assert pull(REFERENCE, force=True).reference == f"{REFERENCE}@{newer}"
    assert pull(REFERENCE).reference == f"{REFERENCE}@{newer}"
    assert pull(f"{REFERENCE}@{published}").reference == f"{REFERENCE}@{published}"


def test_branches_tags_and_commits_are_revisions(server: HubServer, published: str) -> None:
    for revision in ("main", published):
        assert pull(f"{REFERENCE}@{revision}").reference == f"{REFERENCE}@{published}"
    assert pull(REFERENCE, revision="main").written == 0
    with pytest.raises(HubError, match="no such revision"):
        pull(REFERENCE, revision="nowhere")
    with pytest.raises(UsageError, match="--revision does not go"):
        pull("mnist-mlp", revision="main")


def test_a_dry_run_fetches_nothing(server: HubServer, published: str, home: Path) -> None:
    assert {file.path for file in planned(REFERENCE)} == {"config.json", "model.safetensors"}
    assert server.requested("GET */resolve/*") == []
    assert written(home) == []


def test_a_dry_run_lists_what_pull_would_download(server: HubServer, published: str, tmp_path: Path) -> None:
    access = Access(store=Store(tmp_path / "other"))
    pulled = pull(REFERENCE, access=access)
    assert planned(REFERENCE, access=access) == []
    assert len(planned(REFERENCE, force=True, access=access)) == len(planned(REFERENCE)) == 2
    pulled.path.write_bytes(b"damaged")
    assert [file.path for file in planned(REFERENCE, access=access)] == ["model.safetensors"]
    assert pull(REFERENCE, access=access).written == 1
    with pytest.raises(MissingWeightsError, match="local_files_only"):
        planned(REFERENCE, access=Access(offline=True))


def test_only_known_files_are_taken(server: HubServer, contents: dict[str, bytes], home: Path) -> None:
    server.add_repo(NAME, {**contents, "evil.py": b"raise SystemExit", "a/b.bin": b"x", "pytorch_model.bin": b"y"})
    pull(REFERENCE)
    assert not server.requested("* *evil.py")
    assert not server.requested("* *.bin")
    assert len([path for path in written(home) if path.startswith("blobs/")]) == 2


def test_removed_weights_are_fetched_again(server: HubServer, published: str) -> None:
    pull(REFERENCE)
    assert remove([stored(REFERENCE)])[0].freed > 0
    assert pull(REFERENCE).written == 2
    assert ganzoo.load(REFERENCE)


def test_a_damaged_blob_is_an_error_that_pull_mends(published: str) -> None:
    path = pull(REFERENCE).path
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    with pytest.raises(DigestMismatchError) as caught:
        ganzoo.load(REFERENCE)
    assert caught.value.hint.startswith(f"ganzoo pull {REFERENCE}")
    assert pull(REFERENCE).written == 1
    assert ganzoo.load(REFERENCE)


def published_entry(install: InstallPlugin, server: HubServer, contents: dict[str, bytes]) -> str:
    """Publish a model on the server, and pin it in an installed manifest as `remote`."""
    commit = server.add_repo("org/remote", contents)
    import hashlib

    (record,) = (
        entry
        for entry in json.loads((Path(__file__).parents[2] / "weights_manifest.json").read_text())["entries"]
        if entry["name"] == "mnist-mlp"
    )
    roles = {"config.json": "config", "model.safetensors": "generator"}
    files = [
        {"path": name, "sha256": hashlib.sha256(content).hexdigest(), "size": len(content), "role": roles[name]}
        for name, content in contents.items()
    ]
    pinned = {"name": "remote", "bundled": None, "repo_id": "org/remote", "revision": commit, "files": files}
    document = {"schema": 1, "entries": [{**record, **pinned}]}
    install(
        "their-weights",
        {"ganzoo.weights": {"theirs": "their_weights"}},
        {"their_weights/__init__.py": "", "their_weights/weights_manifest.json": json.dumps(document)},
    )
    return commit


def test_an_official_name_is_fetched_at_its_pinned_commit(
    install_plugin: InstallPlugin, server: HubServer, contents: dict[str, bytes]
) -> None:
    commit = published_entry(install_plugin, server, contents)
    server.commit("org/remote", {"model.safetensors": b"somebody else's bytes"})
    assert torch.equal(ganzoo.load("remote").sample(3, seed=0), make_gan().sample(3, seed=0))
    assert all(f"/resolve/{commit}/" in record.path for record in server.requested("* */resolve/*"))
    before = len(server.requests)
    assert ganzoo.load("remote")
    assert len(server.requests) == before


def test_an_official_name_whose_repository_changed_its_bytes_is_refused(
    install_plugin: InstallPlugin, server: HubServer, contents: dict[str, bytes], home: Path
) -> None:
    published_entry(install_plugin, server, contents)
    server.misbehave("GET /objects/*", faults.FlippedByte(), times=None)
    with pytest.raises(DigestMismatchError):
        ganzoo.load("remote")
    assert written(home) == []


# --- tokens ---


def test_a_private_repository_needs_a_token_and_only_the_hub_sees_it(
    server: HubServer, contents: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    server.add_repo(NAME, contents, private=True)
    server.add_user("you", "hf_secret")
    with pytest.raises(HubError, match="or it is private") as caught:
        pull(REFERENCE)
    assert "hf auth login" in caught.value.hint
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    assert pull(REFERENCE).written == 2
    assert any(record.authorized for record in server.requests)
    assert server.leaks() == []


def test_a_gated_repository_names_the_page_to_ask_on(
    server: HubServer, contents: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    server.add_repo(NAME, contents, gated=True)
    server.add_user("stranger", "hf_other")
    for token in ("", "hf_other"):
        monkeypatch.setenv("HF_TOKEN", token)
        with pytest.raises(HubError, match="is gated") as caught:
            pull(REFERENCE)
        assert f"{server.url}/{NAME}" in caught.value.hint


def test_a_wrong_token_is_said_so(
    server: HubServer, contents: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    server.add_repo(NAME, contents)
    monkeypatch.setenv("HF_TOKEN", "hf_wrong")
    with pytest.raises(HubError) as caught:
        pull(REFERENCE)
    assert "token" in str(caught.value) + caught.value.hint


# --- no network ---


def test_offline_uses_the_store_and_says_what_is_missing_at_once(
    server: HubServer, published: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(MissingWeightsError, match="HF_HUB_OFFLINE forbids"):
        ganzoo.load(REFERENCE)
    assert server.requests == []
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    pull(REFERENCE)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert ganzoo.load(REFERENCE)


@pytest.mark.parametrize("address", ["http://127.0.0.1:9", "https://192.0.2.1", "https://nowhere.invalid"])
def test_a_hub_that_cannot_be_reached_is_said_within_three_seconds(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(constants, "ENDPOINT", address)
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    started = time.monotonic()
    with pytest.raises(HubError, match="cannot be reached") as caught:
        pull(REFERENCE)
    assert time.monotonic() - started < 3
    assert "HF_ENDPOINT" in caught.value.hint


@pytest.mark.parametrize("address", ["http://example.org", "https://user:secret@example.org", "ftp://127.0.0.1.evil"])
def test_an_endpoint_not_to_trust_is_refused(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "ENDPOINT", address)
    with pytest.raises(UsageError) as caught:
        pull(REFERENCE)
    assert "secret" not in str(caught.value) + caught.value.hint


@pytest.mark.parametrize(
    ("variable", "address"),
    [
        *(
            ("HF_ENDPOINT", address)
            for address in ("http://[::1", "https://x:99999", "https://", "x", "https://secret@x:y")
        ),
        *(("https_proxy", address) for address in ("http://[::1", "https://x:99999", "http://u:secret@x:y")),
    ],
)
def test_a_malformed_address_is_said_to_be_one(variable: str, address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "ENDPOINT", "https://example.org")
    monkeypatch.setenv(variable, address)
    with pytest.raises(UsageError, match="is not an address") as caught:
        pull(REFERENCE)
    assert "secret" not in str(caught.value) + caught.value.hint


def test_whoever_downloads_the_same_is_named(
    home: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("GANZOO_HUB_SECONDS", "0.3")
    monkeypatch.setattr(records, "SILENCE_SECONDS", 0.1)
    (home / "hub").mkdir(parents=True)
    code = "import sys, filelock; lock = filelock.FileLock(sys.argv[1]); lock.acquire(); print(flush=True); input()"
    path = home / "hub" / "you--my-gan.lock"
    with subprocess.Popen(
        [sys.executable, "-c", code, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        expected = f"process {process.pid} .* has been downloading {NAME} for too long"
        with (
            pytest.raises(HubError, match=expected),
            records.repository_lock(Store(), parse_hub_reference(REFERENCE)),
        ):
            pass
        process.communicate(b"\n")
    assert f"Waiting for process {process.pid}" in caplog.text


# --- misbehaviour: the right bytes, or one line and an empty store ---

FILE, OBJECT = "GET */resolve/*/config.json", "GET /objects/*"
PASSING: dict[str, faults.Fault] = {
    "cut": faults.Cut(),
    "reset": faults.Reset(),
    "flipped byte": faults.FlippedByte(),
    "too long": faults.WrongLength(7),
    "too short": faults.WrongLength(-7),
    "no length": faults.NoLength(),
    "500": faults.Status(500),
    "503": faults.Status(503),
    "429": faults.TooManyRequests(1),
    "html page": faults.html_page(),
}


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait a tenth as long between tries."""
    pause = client._pause

    def short(error: Exception, attempt: int) -> float | None:
        seconds = pause(error, attempt)
        return None if seconds is None else seconds / 10

    monkeypatch.setattr(client, "_pause", short)


@pytest.mark.parametrize(("pattern", "name"), list(itertools.product([FILE, OBJECT], PASSING)))
def test_what_fails_once_ends_in_the_right_bytes(server: HubServer, published: str, pattern: str, name: str) -> None:
    happened = server.misbehave(pattern, PASSING[name], times=1)
    pull(REFERENCE)
    assert happened.happened == 1
    assert torch.equal(ganzoo.load(REFERENCE).sample(3, seed=0), make_gan().sample(3, seed=0))


@pytest.mark.parametrize(("pattern", "name"), list(itertools.product([FILE, OBJECT], PASSING)))
def test_what_always_fails_is_one_error_and_an_empty_store(
    server: HubServer, published: str, home: Path, pattern: str, name: str
) -> None:
    server.misbehave(pattern, PASSING[name], times=None)
    with pytest.raises(GanzooError) as caught:
        pull(REFERENCE)
    assert caught.value.hint
    assert written(home) == []
    assert server.leaks() == []


ENDLESS = {
    "stall": faults.Stall(),
    "drip": faults.Drip(20),
    "headers": faults.EndlessHeaders(),
    "hints": faults.EndlessHints(),
}


@pytest.mark.parametrize("pattern", [OBJECT, "GET /api/models/*"])
@pytest.mark.parametrize("fault", ENDLESS.values(), ids=ENDLESS)
def test_nothing_hangs_past_the_deadline(
    server: HubServer,
    published: str,
    home: Path,
    pattern: str,
    fault: faults.Fault,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setenv("GANZOO_HUB_SECONDS", "2")
    monkeypatch.setattr(client, "READ_SECONDS", 1.0)
    monkeypatch.setattr(client, "SILENCE_SECONDS", 0.5)
    server.misbehave(pattern, fault, times=None)
    started = time.monotonic()
    with pytest.raises(HubError):
        pull(REFERENCE)
    assert time.monotonic() - started < 8
    assert written(home) == []
    assert "Waiting for the Hub: " in caplog.text


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_a_size_that_the_hub_lies_about_is_noticed(
    server: HubServer, published: str, home: Path, contents: dict[str, bytes], name: str
) -> None:
    size = len(contents[name]) - 10
    server.misbehave(f"* */resolve/*/{name}", faults.LyingSize(size), times=None)
    server.misbehave(OBJECT, faults.LyingSize(size), times=None)
    with pytest.raises(DigestMismatchError):
        pull(REFERENCE)
    assert written(home) == []


def test_a_changed_etag_is_noticed_before_any_byte_comes(server: HubServer, published: str, home: Path) -> None:
    server.misbehave("GET */resolve/*/model.safetensors", faults.ChangedETag(), times=None)
    with pytest.raises(DigestMismatchError):
        pull(REFERENCE)
    assert server.requested(OBJECT) == []
    assert written(home) == []


def test_another_commit_than_asked_for_is_noticed(server: HubServer, published: str, home: Path) -> None:
    server.misbehave("GET */resolve/*", faults.Header("X-Repo-Commit", "0" * 40), times=None)
    with pytest.raises(DigestMismatchError, match="0000"):
        pull(REFERENCE)
    assert written(home) == []


@pytest.mark.parametrize("fault", [faults.html_page(), faults.Content(b"{}"), faults.Content(b"[1, 2]")])
def test_a_listing_of_nonsense_is_one_error(server: HubServer, published: str, home: Path, fault: faults.Fault) -> None:
    server.misbehave("GET /api/models/*", fault, times=None)
    with pytest.raises(HubError, match="login page") as caught:
        pull(REFERENCE)
    assert caught.value.hint
    assert written(home) == []


def test_an_answer_of_the_api_has_a_longest_size(
    server: HubServer, published: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "MAX_JSON_BYTES", 100)
    with pytest.raises(HubError, match="more than 100 bytes"):
        pull(REFERENCE)


def test_a_token_never_follows_a_redirect_elsewhere(
    server: HubServer, contents: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    server.add_repo(NAME, contents, private=True)
    server.add_user("you", "hf_secret")
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    for pattern in ("* */resolve/*", "GET /api/models/*"):
        server.planned.clear()
        server.misbehave(pattern, faults.Redirect(server.elsewhere), times=None)
        with pytest.raises(HubError, match="login page"):
            pull(REFERENCE)
        assert server.requested("* /elsewhere/*")
        assert server.leaks() == []


def test_another_port_of_the_hubs_host_is_another_origin(
    server: HubServer, contents: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    server.add_repo(NAME, contents, private=True)
    server.add_user("you", "hf_secret")
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    with HubServer() as other:
        for pattern in ("* */resolve/*", "GET /api/models*"):
            server.planned.clear()
            server.misbehave(pattern, faults.Redirect(f"{other.url}/elsewhere/page"), times=None)
            for action in (lambda: pull(REFERENCE), search):
                with contextlib.suppress(GanzooError):
                    action()
        assert {request.method for request in other.requests} == {"GET"}
        assert not any(request.authorized for request in other.requests)


def test_a_proxy_never_sees_a_token_in_the_clear(published: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    with pytest.raises(UsageError, match="a proxy would see your token") as caught:
        pull(REFERENCE)
    assert "NO_PROXY" in caught.value.hint
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")
    monkeypatch.setenv("no_proxy", "127.0.0.1,localhost")
    huggingface_hub.close_session()
    assert pull(REFERENCE)


def test_a_listing_has_a_deadline_too(server: HubServer, published: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GANZOO_HUB_SECONDS", "1")
    server.misbehave("GET /api/models/*", faults.Drip(5), times=None)
    started = time.monotonic()
    with pytest.raises(HubError, match="took longer than 1 s"):
        pull(REFERENCE)
    assert time.monotonic() - started < 4


@pytest.mark.parametrize("seconds", ["abc", "²", "-1", "0", "inf", "nan", "1e30"])
def test_an_unreadable_time_limit_is_a_usage_error(
    server: HubServer, published: str, monkeypatch: pytest.MonkeyPatch, seconds: str
) -> None:
    monkeypatch.setenv("GANZOO_HUB_SECONDS", seconds)
    with pytest.raises(UsageError, match="GANZOO_HUB_SECONDS is"):
        pull(REFERENCE)


def test_an_official_name_on_a_hub_that_cannot_be_reached_is_said_within_three_seconds(
    install_plugin: InstallPlugin, server: HubServer, contents: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    published_entry(install_plugin, server, contents)
    monkeypatch.setattr(constants, "ENDPOINT", "https://192.0.2.1")
    started = time.monotonic()
    with pytest.raises(HubError, match="cannot be reached"):
        ganzoo.load("remote")
    assert time.monotonic() - started < 3


def test_a_commit_asked_for_must_be_the_commit_that_answers(
    server: HubServer, contents: dict[str, bytes], home: Path
) -> None:
    first = server.add_repo(NAME, contents)
    server.commit(NAME, {"README.md": b"x"})
    listing = json.dumps({"id": NAME, "sha": server.repo(NAME).head().id, "siblings": []}).encode()
    server.misbehave("GET /api/models/*", faults.Content(listing), times=None)
    with pytest.raises(HubError, match="answers with commit"):
        pull(f"{REFERENCE}@{first}")
    assert written(home) == []


def test_bytes_once_pinned_stay_pinned(server: HubServer, published: str) -> None:
    pulled = pull(REFERENCE)
    digest = pulled.sha256
    pulled.path.unlink()
    before = len(server.requested("GET /api/models/*"))
    assert pull(REFERENCE).sha256 == digest
    assert len(server.requested("GET /api/models/*")) == before  # the record says what to fetch


def test_force_holds_a_known_commit_to_its_recorded_bytes(
    server: HubServer, published: str, contents: dict[str, bytes]
) -> None:
    digest = pull(REFERENCE).sha256
    server.misbehave(OBJECT, faults.FlippedByte(), times=None)
    with pytest.raises(DigestMismatchError):
        pull(REFERENCE, force=True)
    assert stored(REFERENCE).file("generator").sha256 == digest
    assert ganzoo.load(REFERENCE)


def test_removing_one_repository_leaves_what_another_needs(
    server: HubServer, published: str, contents: dict[str, bytes]
) -> None:
    server.add_repo("you/twin", contents)
    pull(REFERENCE)
    pull("hf:you/twin")
    (removed,) = remove([stored("hf:you/twin")])
    assert removed.freed == 0
    assert removed.shared_with == (f"{REFERENCE}@{published}",)
    assert ganzoo.load(REFERENCE)
    (removed,) = remove([stored(REFERENCE)])  # the twin is forgotten, and protects nothing
    assert removed.freed == sum(map(len, contents.values()))
    assert removed.shared_with == ()


def test_rm_says_which_weights_keep_the_files(
    ganzoo: Ganzoo, server: HubServer, published: str, contents: dict[str, bytes], home: Path
) -> None:
    server.add_repo("you/twin", contents)
    ganzoo("pull", REFERENCE, "hf:you/twin")
    first = ganzoo("rm", "hf:you/twin", "--yes")
    assert f"kept: shared with {REFERENCE}@{published}" in first.stderr
    assert "kept" not in ganzoo("rm", REFERENCE, "--yes").stderr
    assert written(home) == []
    assert_two_lines(ganzoo("rm", REFERENCE, "--yes"), 1, "is not in the store")


ODD_RECORDS: list[Any] = [
    3,
    {"revisions": {"main": 5}, "commits": {}},
    {"revisions": {"main": ["0" * 40]}, "commits": {}},
    {"revisions": {}, "commits": {"0" * 40: [3]}},
    {"revisions": {}, "commits": {"0" * 40: []}},
    {"revisions": {}, "commits": []},
    {"revisions": {}, "commits": {"../x": []}},
]


@pytest.mark.parametrize("record", ODD_RECORDS, ids=str)
def test_an_odd_record_is_named_and_protects_blobs_until_pull_writes_it_again(
    ganzoo: Ganzoo, server: HubServer, published: str, contents: dict[str, bytes], home: Path, record: Any
) -> None:
    server.add_repo("you/twin", contents)
    ganzoo("pull", REFERENCE, "hf:you/twin")
    path = home / "hub" / "you--my-gan.json"
    path.write_text(json.dumps(record))
    records._report.cache_clear()
    before = written(home)
    assert_two_lines(ganzoo("rm", "hf:you/twin", "--yes"), 1, str(path), f"ganzoo pull {REFERENCE}")
    shown = ganzoo("show", REFERENCE)
    assert shown.returncode == 1
    assert str(path) in shown.stderr
    assert written(home) == before
    assert ganzoo("pull", REFERENCE).returncode == 0
    assert f"kept: shared with {REFERENCE}@{published}" in ganzoo("rm", "hf:you/twin", "--yes").stderr


def test_an_older_commit_of_a_repository_keeps_its_files(
    server: HubServer, published: str, contents: dict[str, bytes]
) -> None:
    pull(REFERENCE)
    newer = server.commit(NAME, {"README.md": b"# changed\n"})
    pull(REFERENCE, force=True)
    (removed,) = remove([stored(REFERENCE)])
    assert removed.reference == f"{REFERENCE}@{newer}"
    assert removed.freed == len(b"# changed\n")
    assert removed.shared_with == (f"{REFERENCE}@{published}",)
    assert ganzoo.load(f"{REFERENCE}@{published}")


def test_a_removed_repository_is_fetched_by_load(published: str) -> None:
    pull(REFERENCE)
    remove([stored(REFERENCE)])
    assert ganzoo.load(REFERENCE)


def test_a_hit_of_an_official_name_needs_no_network_and_force_fetches(
    install_plugin: InstallPlugin, server: HubServer, contents: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    published_entry(install_plugin, server, contents)
    assert pull("remote").written == 2
    before = len(server.requested(OBJECT))
    assert pull("remote", force=True).written == 2
    assert len(server.requested(OBJECT)) == before + 1
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert pull("remote").written == 0
    assert verify("remote")


def test_staging_of_a_killed_pull_is_cleared_by_the_next(server: HubServer, published: str, home: Path) -> None:
    left = home / "staging" / "you--my-gan"
    left.mkdir(parents=True)
    (left / "0").write_bytes(bytes(1000))
    pull(REFERENCE)
    assert not left.exists()


@pytest.mark.parametrize("name", ["pickle", "html", "header of 90 MB", "header longer than the file", "duplicate keys"])
def test_pull_takes_no_frame_that_load_would_refuse(
    server: HubServer, contents: dict[str, bytes], home: Path, name: str
) -> None:
    server.add_repo(NAME, {**contents, **HOSTILE[name]})
    with pytest.raises(WeightsFormatError, match=f"{NAME}/model.safetensors"):
        pull(REFERENCE)
    assert written(home) == []


def test_progress_never_runs_backwards(server: HubServer, published: str) -> None:
    server.misbehave(OBJECT, faults.Cut(), times=1)
    seen: list[tuple[str, int, int]] = []
    pull(REFERENCE, access=Access(progress=lambda *state: seen.append(state)))
    for path in {path for path, _, _ in seen}:
        counts = [count for name, count, _ in seen if name == path]
        assert counts == sorted(counts)
        assert counts[-1] == next(total for name, _, total in seen if name == path)


def test_two_processes_download_once(server: HubServer, published: str, home: Path) -> None:
    server.misbehave(OBJECT, faults.Drip(4000), times=1)
    command = [sys.executable, "-m", "ganzoo", "pull", REFERENCE]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(2)]
    for process in processes:
        _, stderr = process.communicate(timeout=60)
        assert process.returncode == 0, stderr
    assert len(server.requested(OBJECT)) == 1
    assert ganzoo.load(REFERENCE)


def test_a_killed_pull_leaves_no_blob(server: HubServer, published: str, home: Path) -> None:
    server.misbehave(OBJECT, faults.Drip(200), times=1)
    process = subprocess.Popen([sys.executable, "-m", "ganzoo", "pull", REFERENCE], stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 30
    while not server.requested(OBJECT):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.kill()
    process.wait()
    assert not (home / "blobs").exists()
    pull(REFERENCE)
    assert ganzoo.load(REFERENCE)


def test_the_command_prints_the_path_and_samples(ganzoo: Ganzoo, published: str, tmp_path: Path) -> None:
    assert_two_lines(ganzoo("verify", "hf:you/nothing"), 1, "there is no you/nothing on the Hub")
    sampled = ganzoo("sample", REFERENCE, "--out", "x.npy", "--seed", "0", "-n", "3")
    assert sampled.returncode == 0, sampled.stderr
    pulled = ganzoo("pull", REFERENCE, "--json")
    (result,) = json.loads(pulled.stdout)["weights"]
    assert result["written"] == 0
    assert Path(result["path"]).is_file()
    shown = ganzoo("show", REFERENCE)
    assert f"{REFERENCE}@{published}" in shown.stdout
    assert result["sha256"] in shown.stdout
    assert ganzoo("rm", REFERENCE, "--yes").returncode == 0
    assert not Path(result["path"]).exists()


# --- hostile repositories ---


def hostile_cases() -> dict[str, dict[str, Any]]:
    """Files that replace those of a good repository; each must be refused."""
    from safetensors.torch import save

    config = json.loads(make_gan().config.to_bytes())
    huge = {**config, "config": {"generator_hidden": [65_536] * 60, "discriminator_hidden": [8]}}
    cases: dict[str, dict[str, Any]] = {
        "config of 10^12 parameters": {"config.json": json.dumps(huge).encode()},
        "config too large": {"config.json": b" " * ((1 << 20) + 1)},
        "config of deep lists": {"config.json": b"[" * 200_000},
        "config with a path as architecture": {"config.json": json.dumps({**config, "architecture": "../x"}).encode()},
        "pickle": {"model.safetensors": b"\x80\x04cos\nsystem\n(S'touch owned'\ntR."},
        "zip": {"model.safetensors": b"PK\x03\x04" + bytes(1000)},
        "html": {"model.safetensors": b"<html>" + bytes(1000)},
        "header of 90 MB": {"model.safetensors": (90_000_000).to_bytes(8, "little") + b"{" + bytes(1000)},
        "header longer than the file": {"model.safetensors": (10_000).to_bytes(8, "little") + b"{}"},
        "NaN weights": {"model.safetensors": save({"layers.0.weight": torch.full((8, 3), float("nan"))})},
        "other tensors": {"model.safetensors": save({"x": torch.zeros(3)})},
        "LFS pointer": {"model.safetensors": b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"},
        "no config": {"config.json": None},
        "no weights": {"model.safetensors": None},
    }
    headers = {
        "overlapping offsets": {"a": ([2], [0, 8]), "b": ([2], [4, 12])},
        "gap between offsets": {"a": ([2], [0, 8]), "b": ([1], [12, 16])},
        "negative offset": {"a": ([2], [-8, 0])},
        "offsets the wrong way": {"a": ([2], [8, 0])},
        "shape too large": {"a": ([1 << 40], [0, 8])},
        "overflowing shape": {"a": ([1 << 62, 1 << 62], [0, 8])},
        "offset past the end": {"a": ([2], [0, 1 << 60])},
        "negative shape": {"a": ([-2], [0, 8])},
    }
    for name, tensors in headers.items():
        header = {key: {"dtype": "F32", "shape": shape, "data_offsets": at} for key, (shape, at) in tensors.items()}
        content = json.dumps(header).encode()
        cases[name] = {"model.safetensors": len(content).to_bytes(8, "little") + content + bytes(16)}
    duplicate = (
        b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}'
    )
    cases["duplicate keys"] = {"model.safetensors": len(duplicate).to_bytes(8, "little") + duplicate + bytes(4)}
    for field in config:
        cases[f"config without {field}"] = {
            "config.json": json.dumps({key: value for key, value in config.items() if key != field}).encode()
        }
        for value in (None, -1, "x", [], {"a": 1}, 1e999, True):
            text = json.dumps({**config, field: value}).replace("Infinity", "1e999")
            if value is None and field in ("schema",):
                text = text.replace("null", '"one"')
            cases[f"config with {field} = {value!r}"] = {"config.json": text.encode()}
    for key in ("generator_hidden", "discriminator_hidden", "negative_slope", "activation", "batch_norm_eps"):
        for value in (None, -1, 1e999, "x", [0], [True], [[8]], {}, [8] * 100):
            inner = {**config, "config": {**config["config"], key: value}}
            cases[f"{key} = {str(value)[:20]}"] = {
                "config.json": json.dumps(inner).replace("Infinity", "1e999").encode()
            }
    return cases


HOSTILE = hostile_cases()


def test_there_are_at_least_a_hundred_hostile_cases() -> None:
    assert len(HOSTILE) >= 100


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_repository_is_refused(
    server: HubServer,
    contents: dict[str, bytes],
    home: Path,
    tmp_path: Path,
    name: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import resource

    monkeypatch.chdir(tmp_path)
    changed = {**contents, **HOSTILE[name]}
    server.add_repo(NAME, {path: content for path, content in changed.items() if content is not None})
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.monotonic()
    with pytest.raises(GanzooError) as caught:
        ganzoo.load(REFERENCE)
    assert caught.value.hint
    assert "\n" not in str(caught.value).strip()
    assert time.monotonic() - started < 10
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 500_000  # kB
    assert not (tmp_path / "owned").exists()


def test_file_names_that_lead_out_of_the_store_are_left_alone(
    server: HubServer, contents: dict[str, bytes], home: Path, tmp_path: Path
) -> None:
    commit = server.add_repo(NAME, contents)
    listing = {
        "id": NAME,
        "sha": commit,
        "siblings": [
            {"rfilename": name, "size": 5, "blobId": "0" * 40}
            for name in ("../../escaped", "/etc/escaped", "a/../../escaped", "..\\escaped", "config.json/../x")
        ],
    }
    server.misbehave("GET /api/models/*", faults.Content(json.dumps(listing).encode()), times=None)
    with pytest.raises(HubError, match="holds no ganzoo model"):
        pull(REFERENCE)
    assert not list(tmp_path.rglob("*escaped*"))
    assert written(home) == []


def test_the_store_reads_no_symlink_or_fifo_as_weights(published: str, home: Path, tmp_path: Path) -> None:
    path = pull(REFERENCE).path
    other = tmp_path / "other"
    other.write_bytes(b"x" * path.stat().st_size)
    path.unlink()
    path.symlink_to(other)
    with pytest.raises(GanzooError):
        ganzoo.load(REFERENCE)
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(GanzooError):
        Store().read(stored(REFERENCE).file("generator"), "pull again")
