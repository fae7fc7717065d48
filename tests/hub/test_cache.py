"""ganzoo.cache with repositories of the Hub: their records, and a prune beside a pull."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from huggingface_hub import constants

import ganzoo
from ganzoo.cache.contents import contents
from ganzoo.cache.removal import prune
from ganzoo.hub import records
from ganzoo.hub.client import Access
from ganzoo.sources import pull
from tests.conftest import Ganzoo
from tests.hub.conftest import NAME
from tests.hub.server import HubServer

REFERENCE = f"hf:{NAME}"


def test_a_pulled_repository_is_listed_under_the_name_that_it_was_pulled_by(published: str, server: HubServer) -> None:
    pull(REFERENCE)
    (item,) = contents().items
    assert (item.kind, item.name, item.origin) == ("weights", REFERENCE, f"commit {published[:12]}")
    server.commit(NAME, {"README.md": b"# changed\n"})
    pull(REFERENCE, force=True)
    assert {item.name for item in contents().items} == {REFERENCE, f"{REFERENCE}@{published}"}


def test_prune_beside_a_pull_leaves_it_alone(published: str, home: Path) -> None:
    kept = []

    def clean(path: str, done: int, total: int) -> None:
        kept.extend(one.kept for one in prune())

    assert pull(REFERENCE, access=Access(progress=clean)).written == 2
    assert kept
    assert set(kept) == {"another process is using it"}
    assert prune() == []
    assert ganzoo.load(REFERENCE)


def test_an_odd_record_is_rebuilt_from_what_can_be_read_of_it(ganzoo: Ganzoo, published: str, home: Path) -> None:
    pull(REFERENCE)
    path = home / "hub" / "you--my-gan.json"
    document = json.loads(path.read_text())
    document["revisions"] |= {"odd": ["x"], "lost": "a" * 40}
    document["commits"]["a" * 40] = [3]
    path.write_text(json.dumps(document))
    records._report.cache_clear()
    named = ganzoo("cache", "verify")
    assert named.returncode == 1
    assert "hub/you--my-gan.json" in named.stderr
    healed = ganzoo("cache", "verify", "--repair", HF_HUB_OFFLINE="1")
    assert healed.returncode == 0
    assert "rebuilt from what could be read of it" in healed.stderr
    assert json.loads(path.read_text())["revisions"] == {"main": published}
    assert ganzoo("verify", REFERENCE).returncode == 0


@pytest.mark.parametrize("record", [b"", b"3", b'{"revisions": {}, "commits": {}, "x": \xff}', b"[" * 100_000], ids=len)
def test_an_unreadable_record_is_pulled_again_or_removed(
    ganzoo: Ganzoo, published: str, home: Path, record: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    pull(REFERENCE)
    path = home / "hub" / "you--my-gan.json"
    path.write_bytes(record)
    records._report.cache_clear()
    assert {item.kind for item in contents().items} == {"records", "leftovers"}
    assert prune() == []  # its blobs stay
    with monkeypatch.context() as patch:
        patch.setattr(constants, "HF_HUB_OFFLINE", True)
        left = ganzoo("cache", "verify", "--repair")
    assert left.returncode == 1
    assert f"ganzoo pull {REFERENCE}" in left.stderr
    assert "HF_HUB_OFFLINE" in left.stderr
    assert ganzoo("cache", "verify", "--repair").returncode == 0
    assert [item.kind for item in contents().items] == ["weights"]
    path.write_bytes(record)
    assert ganzoo("cache", "rm", "hub/you--my-gan.json", "--yes").returncode == 0
    assert len(prune()) == 2
    assert contents().items == []
