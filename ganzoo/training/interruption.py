"""Ctrl-C and SIGTERM as a request to stop after the current step; a second one ends the program at once."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType


class Interruption:
    """While entered, turns the first SIGINT or SIGTERM into `requested`.

    Handlers can only be set in the main thread; elsewhere it does nothing. When `patient`, later signals count as the
    same request: of several processes, each may get it twice, from the terminal and from torchrun.
    """

    def __init__(self, *, patient: bool = False) -> None:
        self._patient = patient
        self._signal: signal.Signals | None = None
        self._previous: dict[signal.Signals, object] = {}

    def __enter__(self) -> Interruption:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._previous[number] = signal.signal(number, self._note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._restore()

    def requested(self) -> bool:
        """Whether a signal has come."""
        return self._signal is not None

    def _note(self, number: int, frame: FrameType | None) -> None:
        # Only noted: an exception raised here could leave a step half done, with one net updated and the other not.
        self._signal = signal.Signals(number)
        # The previous handlers are back for the second signal, so that Ctrl-C twice always ends the program.
        if not self._patient:
            self._restore()

    def _restore(self) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)  # type: ignore[arg-type]  # what signal.signal itself returned
        self._previous.clear()
