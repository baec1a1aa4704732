"""What is measured, one phase after the other, the same for every side: all at once, steady events, a restart."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from bench.operator import audit, resources
from bench.operator.client import Client
from bench.operator.cluster import Cluster, account
from bench.operator.figures import latencies, waits
from bench.operator.observer import Observer
from bench.operator.sides import Controllers, Side

IN_FLIGHT = 16
"""Lines that are applied at the same time when all are applied at once."""


QUIET_S = 10
"""A new API server is busy with itself for a while after CRDs came."""


@dataclass(frozen=True)
class Load:
    """How much is asked of a side.

    Args:
        lines: lines that stand.
        rate: events a second.
        events_s: how long.
        changes: changes made while the controller is down.
        timeout_s: patience with each phase.
    """

    lines: int
    rate: float
    events_s: float
    changes: int
    timeout_s: float


@dataclass
class Run:
    """One side in its cluster, from nothing to the figures."""

    side: Side
    cluster: Cluster
    client: Client
    observer: Observer
    controllers: Controllers
    load: Load
    say: Callable[[str], None]
    _done: int = 0
    _offset: int = 0
    _main_s: float = 0.0
    _processor_s: dict[str, float] = field(default_factory=dict)
    _figures: dict[str, Any] = field(default_factory=dict)

    async def measure(self) -> dict[str, Any]:
        """All phases."""
        figures = self._figures
        await self._wake()
        figures["burst"] = await self._burst()
        figures["memory"] = {"rest_mib": resources.memory_mib(self._process)}
        figures["events"] = await self._events()
        figures["memory"]["peak_mib"] = resources.peak_mib(self._process)
        others = self.controllers.programs[1:]
        figures["memory"]["others_mib"] = {each.name: resources.peak_mib(each.process.pid) for each in others}
        figures["restart"] = await self._restart()
        figures["memory"]["restarted_peak_mib"] = resources.peak_mib(self._process)
        return figures

    @property
    def _process(self) -> int:
        return self.controllers.main.process.pid

    async def _wake(self) -> None:
        """One line more than asked for, so that the controllers are awake when time starts to count."""
        await self.observer.wait([await self.side.add(self.client, self.load.lines)], self.load.timeout_s)
        await self._rest(1)
        await asyncio.sleep(QUIET_S)
        _, self._offset = audit.read(self.cluster.audit_log)
        self._processor_s, self._main_s = resources.children_s(os.getpid()), resources.processor_s(self._process)

    async def _burst(self) -> dict[str, Any]:
        """All lines applied at once."""
        self.say(f"{self.load.lines} lines at once")
        gate = asyncio.Semaphore(IN_FLIGHT)

        async def add(number: int) -> str:
            async with gate:
                return await self.side.add(self.client, number)

        start = time.monotonic()
        keys = await asyncio.gather(*(add(number) for number in range(self.load.lines)))
        applied_s = time.monotonic() - start
        await self.observer.wait(keys, self.load.timeout_s)
        found = {name: waits(start, keys, arrivals) for name, arrivals in self.observer.arrivals.items()}
        await self._rest(len(keys))
        rest_s = time.monotonic() - start
        self._account("burst", "per_line", len(keys))
        return {"applied_s": applied_s, "at_rest_s": rest_s, **found}

    async def _events(self) -> dict[str, Any]:
        """Events at a steady rate, each for another line as long as there are any."""
        count = round(self.load.rate * self.load.events_s)
        self.say(f"{count} events, {self.load.rate:g} a second")
        starts: dict[str, float] = {}
        begin = time.monotonic()

        async def event(number: int) -> None:
            await asyncio.sleep(begin + number / self.load.rate - time.monotonic())
            start = time.monotonic()
            starts[await self.side.change(self.client, number % self.load.lines)] = start

        await asyncio.gather(*(event(number) for number in range(count)))
        await self.observer.wait(starts, self.load.timeout_s)
        found = {name: latencies(starts, arrivals) for name, arrivals in self.observer.arrivals.items()}
        await self._rest(count)
        self._account("events", "per_event", count)
        return {"rate": self.load.rate, **found}

    async def _restart(self) -> dict[str, Any]:
        """The controller killed, changes made, the controller started again."""
        self.say("restart")
        self.controllers.main.kill()
        keys = [await self.side.change(self.client, number) for number in range(self.load.changes)]
        await asyncio.sleep(2)
        start = time.monotonic()
        program = self.side.restart_main(self.cluster)
        self.controllers = Controllers((program, *self.controllers.programs[1:]))
        await self.observer.wait(keys, self.load.timeout_s)
        return {name: waits(start, keys, arrivals) for name, arrivals in self.observer.arrivals.items()}

    async def _rest(self, more: int) -> None:
        """Wait until all that was asked for has ended, which is no latency of the side's."""
        self._done += more
        await until(self._is_at_rest, self.load.timeout_s, "everything to end", self.controllers)
        await asyncio.sleep(2)

    async def _is_at_rest(self) -> bool:
        return await self.side.at_rest(self.client) >= self._done

    def _account(self, phase: str, calls_name: str, count: int) -> None:
        calls, self._offset = audit.read(self.cluster.audit_log, self._offset)
        mine = {user: audit.of(calls, account(user)) for user in self.side.users}
        found = self._figures.setdefault("calls", {})
        found[calls_name] = sum(mine[self.side.users[0]].values()) / count
        found[phase] = mine
        before, self._processor_s = self._processor_s, resources.children_s(os.getpid())
        spent = {name: round(value - before.get(name, 0.0), 2) for name, value in self._processor_s.items()}
        processor_s = resources.processor_s(self._process)
        figures = self._figures.setdefault("processor", {})
        figures[f"{phase}_s"], figures[phase] = processor_s - self._main_s, spent
        self._main_s = processor_s


async def until(condition: Callable[[], Awaitable[bool]], timeout_s: float, what: str, running: Controllers) -> None:
    """Wait for something, as long as the controllers run."""
    end_s = time.monotonic() + timeout_s
    while not await condition():
        for program in running.programs:
            program.check()
        if time.monotonic() > end_s:
            raise TimeoutError(f"waited {timeout_s:.0f} s for {what}")
        await asyncio.sleep(1)
