"""When children arrive: one watch for each kind of child, in one process and with one clock for all sides.

Creation timestamps are whole seconds, too coarse for latencies; so the arrival at this watcher counts.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from bench.operator.client import Client


@dataclass(frozen=True)
class Child:
    """A kind of child.

    Args:
        name: what the figures call it.
        path: its collection, over all namespaces.
        selector: label selector of the watch.
        key: what event a child answers, from its metadata; None: none of ours.
    """

    name: str
    path: str
    selector: str
    key: Callable[[Mapping[str, Any]], str | None]


@dataclass
class Observer:
    """Arrival times by kind and key, on the monotonic clock. Use as an asynchronous context."""

    client: Client
    children: tuple[Child, ...]
    arrivals: dict[str, dict[str, float]] = field(default_factory=dict)
    _watches: list[asyncio.Task[None]] = field(default_factory=list)

    async def __aenter__(self) -> Self:
        for child in self.children:
            self.arrivals[child.name] = {}
            ready = asyncio.Event()
            self._watches.append(asyncio.create_task(self._watch(child, ready)))
            await asyncio.wait(
                [self._watches[-1], opened := asyncio.create_task(ready.wait())], return_when=asyncio.FIRST_COMPLETED
            )
            if not opened.done():
                self._watches[-1].result()
        return self

    async def __aexit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for watch in self._watches:
            watch.cancel()
        await asyncio.gather(*self._watches, return_exceptions=True)

    async def wait(self, keys: Iterable[str], timeout_s: float) -> bool:
        """Wait until a child of every kind is there for every key; False: some are missing after the time."""
        wanted = set(keys)
        end_s = time.monotonic() + timeout_s
        while any(not wanted <= found.keys() for found in self.arrivals.values()):
            for watch in self._watches:
                if watch.done():
                    watch.result()
                    raise RuntimeError("a watch has ended")
            if time.monotonic() > end_s:
                return False
            await asyncio.sleep(0.1)
        return True

    async def _watch(self, child: Child, ready: asyncio.Event) -> None:
        found = self.arrivals[child.name]
        async for happening, metadata in self.client.watch(child.path, child.selector):
            arrived = time.monotonic()
            ready.set()
            key = child.key(metadata) if happening == "ADDED" else None
            if key is not None:
                found.setdefault(key, arrived)
