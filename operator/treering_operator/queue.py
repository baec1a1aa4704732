"""Which lines are to be looked at, each once, however often it was asked for: like client-go's workqueue.

A key that is added while it waits stays one; added while it is worked on, it comes again afterwards, never at the same
time. What a user changed is urgent and comes before everything else, so that a new round starts at once while a
thousand others are being told about. Fed by caches and timers, worked off by `service`'s workers.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import random
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 300.0


class WorkQueue(Generic[K]):
    """Keys waiting for work.

    Args:
        clock: monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._urgent: OrderedDict[K, None] = OrderedDict()
        self._waiting: OrderedDict[K, None] = OrderedDict()
        self._working: set[K] = set()
        self._again: dict[K, bool] = {}
        self._failures: dict[K, int] = {}
        self._later: list[tuple[float, int, K]] = []
        self._due: dict[K, float] = {}
        self._count = itertools.count()
        self._changed = {False: asyncio.Event(), True: asyncio.Event()}
        self._closed = False

    def __len__(self) -> int:
        """Keys that wait for a worker now, those for later not counted."""
        return len(self._urgent) + len(self._waiting) + len(self._again)

    def add(self, key: K, *, urgent: bool = False) -> None:
        """Work on the key as soon as a worker is free, an urgent one before all others."""
        if self._closed:
            return
        if key in self._working:
            self._again[key] = urgent or self._again.get(key, False)
        elif urgent and key not in self._urgent:
            self._waiting.pop(key, None)
            self._urgent[key] = None
            self._wake(urgent=True)
        elif key not in self._urgent and key not in self._waiting:
            self._waiting[key] = None
            self._wake()

    def add_after(self, key: K, delay_s: float) -> None:
        """Work on the key after some time at the latest. The earliest such wish counts."""
        due = self._clock() + delay_s
        if self._closed or self._due.get(key, float("inf")) <= due:
            return
        self._due[key] = due
        heapq.heappush(self._later, (due, next(self._count), key))
        self._wake()

    def add_failed(self, key: K) -> float:
        """Work on the key again after a pause that doubles with each failure; returns the pause in seconds."""
        failures = self._failures[key] = self._failures.get(key, 0) + 1
        pause_s = min(FIRST_PAUSE_S * 2.0 ** min(failures - 1, 32), LONGEST_PAUSE_S) * random.uniform(0.8, 1.2)
        self.add_after(key, pause_s)
        return pause_s

    def succeeded(self, key: K) -> None:
        """The key's failures are forgotten."""
        self._failures.pop(key, None)

    async def get(self, *, only_urgent: bool = False) -> K:
        """The next key; `done` must follow.

        Args:
            only_urgent: for a worker that is kept free for what users do.

        Raises:
            asyncio.QueueEmpty: the queue was closed.
        """
        while True:
            self._ripen()
            if self._closed:
                raise asyncio.QueueEmpty
            lane = self._urgent if self._urgent or only_urgent else self._waiting
            if lane:
                key, _ = lane.popitem(last=False)
                self._working.add(key)
                return key
            await self._wait(only_urgent=only_urgent)

    def done(self, key: K) -> None:
        """The work on the key has ended, well or not."""
        self._working.discard(key)
        if key in self._again:
            self.add(key, urgent=self._again.pop(key))

    def close(self) -> None:
        """No more work: every `get` ends."""
        self._closed = True
        self._wake(urgent=True)

    def _ripen(self) -> None:
        now = self._clock()
        while self._later and self._later[0][0] <= now:
            due, _, key = heapq.heappop(self._later)
            if self._due.get(key) == due:
                del self._due[key]
                self.add(key)

    def _wake(self, *, urgent: bool = False) -> None:
        """Let the workers that wait look again; those for urgent keys only if there is one."""
        for lane in (False, True) if urgent else (False,):
            self._changed[lane].set()
            self._changed[lane] = asyncio.Event()

    async def _wait(self, *, only_urgent: bool) -> None:
        timeout_s = max(0.0, self._later[0][0] - self._clock()) if self._later and not only_urgent else None
        try:
            await asyncio.wait_for(self._changed[only_urgent].wait(), timeout_s)
        except TimeoutError:
            return
