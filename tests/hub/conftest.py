"""A local Hub that the real client talks to, and a model to put on it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import huggingface_hub
import pytest
from huggingface_hub import constants

from tests.hub.server import HubServer
from tests.test_model import make_gan

NAME = "you/my-gan"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[HubServer]:
    """A Hub on the loopback interface, for this process and for those it starts; nobody is logged in."""
    with HubServer() as server:
        # The client reads its environment when it is imported, so both are set.
        monkeypatch.setattr(constants, "ENDPOINT", server.url)
        template = server.url + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "token"))
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
        variables = {
            "HF_ENDPOINT": server.url,
            "HF_HOME": str(tmp_path / "hf"),
            "HF_HUB_DISABLE_XET": "1",
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "HF_HUB_DISABLE_UPDATE_CHECK": "1",
        }
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        monkeypatch.delenv("HF_TOKEN", raising=False)
        yield server
        huggingface_hub.close_session()


@pytest.fixture
def contents(tmp_path: Path) -> dict[str, bytes]:
    """The files of a small model."""
    folder = make_gan().save(tmp_path / "source")
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def published(server: HubServer, contents: dict[str, bytes]) -> str:
    """A repository with that model; returns its commit."""
    return server.add_repo(NAME, contents)
