"""Bars for what is being fetched."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from ganzoo.cli.output import out

if TYPE_CHECKING:
    from rich.progress import TaskID

    from ganzoo.hub.client import Access


@contextlib.contextmanager
def fetching() -> Iterator[Access]:
    """Show a bar for each file, none where there is no terminal for them."""
    from ganzoo.hub.client import Access

    console = out.progress_console()
    if console is None:
        yield Access()
        return
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=console) as bars:
        tasks: dict[str, TaskID] = {}

        def report(path: str, so_far: int, total: int) -> None:
            if path not in tasks:
                tasks[path] = bars.add_task(path, total=total)
            bars.update(tasks[path], completed=so_far)

        yield Access(progress=report)
