"""The fan-out: one observer for the round that hands every event to many.

Made by the command line, called by the round's runner and by stages from any thread. Observers get one event at a
time, in the order of arrival. Telling about a round must never break it: what an observer raises stays here.
"""

from __future__ import annotations

import logging
import threading

from treering_trainer.progress.events import Event, Observer

_log = logging.getLogger(__name__)


class Observers:
    """Calls each observer with each event; itself an `Observer`."""

    def __init__(self, *observers: Observer) -> None:
        self._observers = list(observers)
        self._failed: set[int] = set()
        self._lock = threading.RLock()  # re-entrant: an observer may itself have something to say

    def add(self, observer: Observer) -> None:
        """Hand every event from now on to `observer` too."""
        with self._lock:
            self._observers.append(observer)

    def __call__(self, event: Event) -> None:
        """Hand `event` to every observer; an observer's failure is logged once and harms nobody else."""
        with self._lock:
            for place, observer in enumerate(self._observers):
                self._tell(place, observer, event)

    def _tell(self, place: int, observer: Observer, event: Event) -> None:
        try:
            observer(event)
        except Exception:
            if place not in self._failed:
                self._failed.add(place)
                _log.warning("Progress can't be shown by %s; the round goes on.", _name(observer), exc_info=True)


def _name(observer: Observer) -> str:
    return getattr(observer, "__qualname__", type(observer).__qualname__)
