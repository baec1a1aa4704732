"""Seeing: one line and all that belongs to it as one frozen view, from caches alone; and the asking of running pods.

Called by `reconcile`; `Progress` is run by `service` beside it, so that a slow pod never holds up a reconcile.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from treering_operator.cluster.cache import ChildCache, Key, LineCache
from treering_operator.cluster.pod_progress import PodProgress
from treering_operator.observed import JobView, Observed, PodView
from treering_operator.resources.names import is_discovery

_ASKED_AT_ONCE = 32
_PODS_PER_SECOND = 10.0
_TICK_S = 0.5


@dataclass(frozen=True)
class Caches:
    """Everything that is known of the cluster."""

    lines: LineCache
    jobs: ChildCache[JobView]
    pods: ChildCache[PodView]


@dataclass(frozen=True)
class _Said:
    """What a pod said last."""

    pod_uid: str
    data: dict[str, Any] | None
    time: datetime | None
    asked_s: float


class Progress:
    """What running rounds say about themselves, asked every `interval_s`, less often when many run.

    Args:
        pods: the pods.
        reader: asks one.
        interval_s: time between two questions to a pod.
        changed: told the line whose progress is worth a look.
    """

    def __init__(
        self, pods: ChildCache[PodView], reader: PodProgress, interval_s: float, changed: Callable[[Key], None]
    ) -> None:
        self._pods, self._reader, self._interval_s, self._changed = pods, reader, interval_s, changed
        self._said: dict[Key, _Said] = {}

    def of(self, key: Key) -> tuple[dict[str, Any] | None, datetime | None]:
        """What the line's pod said last, and when; (None, None) where none runs or none answered."""
        said = self._said.get(key)
        if said is None or not any(pod.uid == said.pod_uid and pod.running for pod in self._pods.of(key)):
            return None, None
        return said.data, said.time

    async def run(self) -> None:
        """Ask for ever, until cancelled."""
        while True:
            running = {
                (pod.namespace, pod.line): pod
                for pod in self._pods
                if pod.running and pod.ip and not pod.index and not pod.deleting
                if not is_discovery(pod.line, pod.job)  # it runs beside a round, and says nothing
            }
            self._said = {key: said for key, said in self._said.items() if key in running}
            interval_s = max(self._interval_s, len(running) / _PODS_PER_SECOND)
            now_s = time.monotonic()
            due = [pod for key, pod in running.items() if self._is_due(key, pod, now_s - interval_s)]
            await asyncio.gather(*(self._ask(pod) for pod in due[:_ASKED_AT_ONCE]))
            await asyncio.sleep(min(_TICK_S, interval_s))

    def _is_due(self, key: Key, pod: PodView, before_s: float) -> bool:
        said = self._said.get(key)
        return said is None or said.pod_uid != pod.uid or said.asked_s <= before_s

    async def _ask(self, pod: PodView) -> None:
        key = (pod.namespace, pod.line)
        data = await self._reader.read(pod.ip)
        before = self._said.get(key)
        same = before is not None and before.pod_uid == pod.uid
        if data is None and same and before is not None:
            self._said[key] = _Said(pod.uid, before.data, before.time, time.monotonic())
            return
        self._said[key] = _Said(pod.uid, data, datetime.now(UTC) if data else None, time.monotonic())
        if data is not None and (before is None or not same or _shown(before.data) != _shown(data)):
            self._changed(key)


def observe(key: Key, caches: Caches, progress: Progress) -> Observed | None:
    """One line as it is now, None where there is none."""
    resource = caches.lines.get(key)
    if resource is None:
        return None
    said, said_time = progress.of(key)
    return Observed(
        resource=resource,
        jobs=caches.jobs.of(key),
        pods=caches.pods.of(key),
        progress=said,
        now=datetime.now(UTC),
        progress_time=said_time,
    )


def _shown(data: dict[str, Any] | None) -> tuple[Any, ...]:
    """What of it people see in the status; a change of the rest is not worth a write."""
    return () if data is None else tuple(data.get(name) for name in ("percent", "stage", "epoch", "strategy"))
