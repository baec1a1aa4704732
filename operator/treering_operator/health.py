"""Whether the operator still moves: everything that must be heard from regularly, and when it was. Read by `server`.

A dead watcher in a live process is the way in which operators fail in silence; so each one has a heartbeat here.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

Key = tuple[str, str]
_SILENCES = 3
_LONGEST_RECONCILE_S = 180.0


@dataclass(frozen=True)
class Pulse:
    """One watch: what it watches, and when it was last heard, in monotonic seconds."""

    resource: str
    where: str
    heard: Callable[[], float]


class Ear:
    """When each of several namespaces was last heard of, by the path that was asked; kopf's watches are not ours.

    Args:
        namespaces: that are watched; the empty one is all of them.
        clock: monotonic seconds.
    """

    def __init__(self, namespaces: tuple[str, ...], clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._heard = dict.fromkeys(namespaces, clock())

    def hear(self, path: str) -> None:
        """Something of an answer arrived."""
        for namespace in self._heard:
            if not namespace or f"/namespaces/{namespace}/" in path:
                self._heard[namespace] = self._clock()

    def pulse(self, resource: str, namespace: str) -> Pulse:
        """The pulse of one namespace."""
        where = f"in {namespace} by kopf" if namespace else "by kopf"
        return Pulse(resource, where, lambda: self._heard[namespace])


class Health:
    """All pulses of one operator.

    Args:
        pulses: of every watch.
        heartbeat_s: the longest silence of a healthy one.
        clock: monotonic seconds.
    """

    def __init__(
        self, pulses: tuple[Pulse, ...], heartbeat_s: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._pulses, self._heartbeat_s, self._clock = pulses, heartbeat_s, clock
        self._working: dict[Key, float] = {}

    def began(self, key: Key) -> None:
        """A worker took up a line."""
        self._working[key] = self._clock()

    def ended(self, key: Key) -> None:
        """It put it down."""
        self._working.pop(key, None)

    def ages_s(self) -> dict[str, float]:
        """Seconds since each kind was last heard of; of several watches of a kind the oldest."""
        ages: dict[str, float] = {}
        for pulse in self._pulses:
            ages[pulse.resource] = max(ages.get(pulse.resource, 0.0), self._clock() - pulse.heard())
        return ages

    def dead(self) -> list[str]:
        """What does not move any more, in words."""
        now = self._clock()
        silent = [
            f"the watch of {pulse.resource} {pulse.where} was last heard {now - pulse.heard():.0f} s ago"
            for pulse in self._pulses
            if now - pulse.heard() > _SILENCES * self._heartbeat_s
        ]
        stuck = [
            f"a worker has been busy with line {key[0]}/{key[1]} for {now - since:.0f} s"
            for key, since in self._working.items()
            if now - since > _LONGEST_RECONCILE_S
        ]
        return silent + stuck
