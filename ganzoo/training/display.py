"""A training as a bar over its newest samples, in a notebook."""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from ganzoo.rendering.notebook import image_html

if TYPE_CHECKING:
    from ganzoo.training.loop import Record


class TrainingDisplay:
    """A bar and the newest samples of a training, for a notebook. Call it with each record.

    Args:
        show: what `notebook_display` returns.
        name: of the recipe.
        steps: of the whole training.
        samples: the run's folder of sample pictures.
    """

    def __init__(self, show: Callable[[str], None], name: str, steps: int, samples: Path) -> None:
        self._show, self._name, self._steps, self._samples = show, name, steps, samples

    def __call__(self, record: Record) -> None:
        """Show the state after a record."""
        remaining = (self._steps - record.step) / max(record.steps_per_second, 1e-9)
        numbers = {"D": record.loss_d, "G": record.loss_g, **record.metrics}
        told = "&nbsp; ".join(f"{escape(name)} {value:.4g}" for name, value in numbers.items())
        # The pictures are written while training. Their names are zero-padded, so the newest one is the last.
        newest = max(self._samples.glob("step-*.png"), default=None, key=lambda path: path.name)
        picture = "" if newest is None else image_html(newest.read_bytes(), f"samples at {newest.stem}")
        self._show(
            f"<div><b>{escape(self._name)}</b> <progress value='{record.step}' max='{self._steps}'></progress> "
            f"{record.step:,}/{self._steps:,} steps, {remaining:,.0f} s remaining<br>{told}<br>{picture}</div>"
        )
