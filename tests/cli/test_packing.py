"""What the terminal shows of a packing."""

from __future__ import annotations

import io
from types import SimpleNamespace

import pytest
from rich.console import Console

from ganzoo.cli import progress
from ganzoo.cli.output import out
from tests.conftest import Ganzoo


def test_a_clock_that_stands_still_gives_a_speed(monkeypatch: pytest.MonkeyPatch) -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=100)
    monkeypatch.setattr(out, "progress_console", lambda: console)
    monkeypatch.setattr(progress, "time", SimpleNamespace(monotonic=lambda: 1.0))
    with progress.counting_bar("mjsynth train") as update:
        assert update is not None
        update(0, 2)
        update(2, 2)
    assert "2,000 images/s" in console.file.getvalue()  # type: ignore[attr-defined]


def test_more_workers_than_windows_can_wait_for_are_wrong_usage(ganzoo: Ganzoo) -> None:
    result = ganzoo("data", "prepare", "mjsynth", "--workers", "62")
    assert result.returncode == 2
    assert "61" in result.stderr
