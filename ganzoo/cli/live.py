"""Live view of a training in the terminal: the progress bar, the newest samples, losses and scores."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from ganzoo.cli.output import printable
from ganzoo.cli.progress import TrainingBar

if TYPE_CHECKING:
    from pathlib import Path

    from PIL.Image import Image
    from rich.console import Console, RenderableType
    from rich.text import Text

    from ganzoo.training import Record, Training

SMALLEST = (76, 20)
"""Columns and lines of the smallest terminal for this view; smaller ones get the bar alone."""

_NUMBERS_WIDTH = 34
_OTHER_LINES = 4  # the bar, an empty line below it, and two lines at the end
_REFRESH_SECONDS = 0.5  # each picture sends about 50 kB to the terminal


def large_enough(console: Console) -> bool:
    """Whether the terminal is large enough for pictures."""
    return console.width >= SMALLEST[0] and console.height >= SMALLEST[1]


class LiveView:
    """Progress bar, sample picture, losses and scores, redrawn at most twice a second."""

    def __init__(self, training: Training, console: Console) -> None:
        from rich.live import Live

        self._training, self._console = training, console
        self._bar = TrainingBar(training, console, losses=False)
        self._shown: tuple[Path, Image] | None = None
        self._last = 0.0
        self._live = Live(console=console, auto_refresh=False, get_renderable=self._render)  # renders at once

    def __enter__(self) -> LiveView:
        self._live.start(refresh=True)
        return self

    def __exit__(self, *_: object) -> None:
        self._live.refresh()
        self._live.stop()

    def update(self, record: Record) -> None:
        """Show the newest record, or leave it to the next one if the view was redrawn just now."""
        self._bar.update(record)
        if time.monotonic() - self._last >= _REFRESH_SECONDS:
            self._live.refresh()
            self._last = time.monotonic()

    def _render(self) -> RenderableType:
        from rich.console import Group
        from rich.table import Table
        from rich.text import Text

        if not large_enough(self._console):  # the window was made smaller
            return self._bar.renderable
        lines = self._console.height - _OTHER_LINES
        numbers, picture = self._numbers(lines), self._picture(lines)
        table = Table.grid(padding=(0, 2))
        if picture is None:
            table.add_row(numbers)
        else:
            table.add_row(picture, numbers)
        # The last line stays empty, because the terminal echoes ^C there.
        return Group(self._bar.renderable, Text(""), table, Text(""))

    def _picture(self, lines: int) -> RenderableType | None:
        """Return the newest sample picture, which is opened when it is new, and which step it is of."""
        from rich.console import Group
        from rich.constrain import Constrain
        from rich.text import Text

        from ganzoo.rendering import TerminalPicture, for_terminal, read_picture

        path = self._newest()
        if path is None:
            return None
        if self._shown is None or self._shown[0] != path:
            try:
                image = read_picture(path)
            except OSError:  # it was deleted, or somebody else's file has its name
                return None
            self._shown = (path, for_terminal(image, self._training.state.config.sample))
        drawn = TerminalPicture(self._shown[1], self._console.width - _NUMBERS_WIDTH - 2, lines - 1)
        caption = Text(f"step {int(path.stem.removeprefix('step-')):,}", style="dim")
        return Constrain(Group(drawn, caption), drawn.size(self._console.width)[0])

    def _newest(self) -> Path | None:
        """Return the newest sample picture that exists, or None."""
        run, step = self._training.run, self._training.state.step
        every = run.settings.sample_every
        # The picture of this step may not be written yet.
        steps = (step, step // every * every, (step - 1) // every * every)
        return next((path for path in map(run.sample_path, steps) if path.is_file()), None)

    def _numbers(self, lines: int) -> Text:
        """Return as many numbers as fit, each with a sparkline below, and its range if there is room."""
        from rich.text import Text

        from ganzoo.rendering import sparkline

        series = self._training.run.history.series
        roomy = 4 * len(series) <= lines
        text = Text()
        for name, values in list(series.items())[: lines // 2]:
            means = [point.mean for point in values.points()]
            text.append(f"{printable(name):<{_NUMBERS_WIDTH - 12}}", style="bold").append(f"{values.newest:>12.4g}\n")
            text.append(f"{sparkline(means, _NUMBERS_WIDTH)}\n", style="cyan")
            if roomy:
                text.append(f"{min(means):.3g} to {max(means):.3g}\n\n", style="dim")
        return text
