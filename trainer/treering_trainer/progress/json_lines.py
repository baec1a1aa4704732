"""Progress for programs: every event as one JSON object a line.

Chosen on the command line; written to standard output, flushed at once, so that a reader at the other end of a pipe
is never behind.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from typing import TextIO

from treering_trainer.progress.events import Event, event_data
from treering_trainer.progress.state import rfc3339


class JsonLines:
    """Writes `{"event": "StageStarted", "time": "2026-11-23T21:50:00Z", ...}`; itself an `Observer`.

    `event` is the event's class name, `time` is RFC 3339 in UTC, the rest are the event's fields. Numbers that JSON
    doesn't have (NaN, infinity) are null.

    Args:
        stream: where to; standard output by default.
        now: Unix seconds.
    """

    def __init__(self, stream: TextIO | None = None, now: Callable[[], float] = time.time) -> None:
        self._stream = stream or sys.stdout
        self._now = now

    def __call__(self, event: Event) -> None:
        """Write `event` as one line."""
        head = {"event": type(event).__name__, "time": rfc3339(self._now())}
        line = json.dumps(head | event_data(event), ensure_ascii=False, allow_nan=False)
        self._stream.write(line + "\n")  # one write: lines of several threads or processes stay whole
        self._stream.flush()
