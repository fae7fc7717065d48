"""The names that users of the ecosystem expect: from_pretrained, save_pretrained, push_to_hub."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from ganzoo import GAN
from ganzoo.errors import HubError, MissingWeightsError
from tests.hub.conftest import NAME
from tests.hub.server import HubServer
from tests.test_model import make_gan

SAMPLES = make_gan().sample(4, seed=0)


def same(gan: GAN) -> bool:
    return torch.equal(gan.sample(4, seed=0), SAMPLES)


def test_a_folder_a_name_and_a_repository_are_pretrained(published: str, tmp_path: Path) -> None:
    saved = make_gan().save_pretrained(tmp_path / "saved")
    for source in (saved, str(saved), NAME, f"hf:{NAME}"):
        assert same(GAN.from_pretrained(source))
    assert GAN.from_pretrained("quadratic-mlp").entry is not None


def test_revision_cache_dir_and_local_files_only(server: HubServer, published: str, tmp_path: Path) -> None:
    with pytest.raises(MissingWeightsError, match="local_files_only"):
        GAN.from_pretrained(NAME, local_files_only=True)
    assert same(GAN.from_pretrained(NAME, revision=published, cache_dir=tmp_path / "cache"))
    assert (tmp_path / "cache" / "blobs").is_dir()
    assert same(GAN.from_pretrained(NAME, revision=published, cache_dir=tmp_path / "cache", local_files_only=True))
    with pytest.raises(MissingWeightsError):
        GAN.from_pretrained(NAME, local_files_only=True)  # another store


def test_force_download_fetches_again(server: HubServer, published: str) -> None:
    GAN.from_pretrained(NAME)
    before = len(server.requested("GET /objects/*"))
    GAN.from_pretrained(NAME, force_download=True)
    assert len(server.requested("GET /objects/*")) == before + 1


def test_a_token_opens_a_private_repository_and_false_sends_none(
    server: HubServer, contents: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    server.add_repo(NAME, contents, private=True)
    server.add_user("you", "hf_secret")
    assert same(GAN.from_pretrained(NAME, token="hf_secret"))
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    before = len(server.requests)
    with pytest.raises(HubError, match="private"):
        GAN.from_pretrained(NAME, token=False, force_download=True)
    assert not any(record.authorized for record in server.requests[before:])
    assert server.leaks() == []


def test_a_model_pushes_itself(server: HubServer) -> None:
    server.add_user("you", "hf_secret")
    address = make_gan().push_to_hub(NAME, license="mit", commit_message="Mine", private=True, token="hf_secret")
    assert server.repo(NAME).head().id in address
    assert server.repo(NAME).head().title == "Mine"
    assert server.repo(NAME).private
    assert same(GAN.from_pretrained(NAME, token="hf_secret"))
