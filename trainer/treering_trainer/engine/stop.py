"""Asking a running round to stop: a flag that signals set and every long loop reads."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from treering_api import ResumableError


class StopRequest:
    """Set once, read often, from any thread."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self.reason = ""

    def request(self, reason: str) -> None:
        """Ask for a stop; `reason` ends up in the message."""
        self.reason = self.reason or reason
        self._event.set()

    @property
    def requested(self) -> bool:
        """Whether someone asked."""
        return self._event.is_set()

    def check(self, where: str) -> None:
        """Raise an `ResumableError` (exit code `RESUMABLE`) if a stop was asked for."""
        if self.requested:
            raise ResumableError(where, f"stopped by {self.reason}", "Run again: the round goes on from here.")


@contextmanager
def stop_on_signals(stop: StopRequest) -> Iterator[None]:
    """Turn SIGINT and SIGTERM into a stop request; a second SIGINT ends the process at once.

    Outside the main thread, where Python allows no signal handlers (notebook servers), nothing is changed.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def handle(number: int, frame: FrameType | None) -> None:
        if stop.requested and number == signal.SIGINT:
            signal.default_int_handler(number, frame)
        stop.request(signal.Signals(number).name)

    previous = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
