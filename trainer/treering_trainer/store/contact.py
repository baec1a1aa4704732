"""The first request to a server: one thread makes it, and what it learns holds for all that wait.

Used by `store/s3.py`, shared by a store and all stores made from it by `at`.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from treering_api.errors import TreeringError


@dataclass
class Contact:
    """Whether anyone has answered yet."""

    made: bool = False
    _failure: TreeringError | None = None
    _failed_s: float = 0.0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def make(self, knock: Callable[[], None]) -> None:
        """Knocks once for all threads that came meanwhile: else they would wait for one timeout after the other."""
        came_s = time.monotonic()
        with self._lock:
            if self._failure and self._failed_s >= came_s:
                raise self._failure
            if not self.made:
                try:
                    knock()
                except TreeringError as error:
                    self._failure, self._failed_s = error, time.monotonic()
                    raise
                self.made = True
