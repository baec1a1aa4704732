"""A line whose Job cannot be made whole because something of its name is there: tried ever more rarely, and told."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from tests.unit.operator.decide.world import SETTINGS, line_resource
from tests.unit.operator.test_reconcile import Full
from treering_operator.act import Actor
from treering_operator.cluster.cache import ChildCache, Key, LineCache
from treering_operator.cluster.errors import AlreadyExistsError
from treering_operator.cluster.places import CONFIG_MAPS, Place
from treering_operator.cluster.pod_progress import PodProgress
from treering_operator.cluster.views import job_view, pod_view
from treering_operator.metrics import Metrics, Sources
from treering_operator.observe import Caches, Progress
from treering_operator.queue import WorkQueue
from treering_operator.reconcile import Reconciler

KEY = ("team", "cards")


class Orphaned(Full):
    """An API server where a plan without an owner was left behind."""

    def __init__(self) -> None:
        super().__init__()
        self.is_gone = False

    async def create(self, place: Place, namespace: str, body: Mapping[str, Any]) -> dict[str, Any]:
        if place == CONFIG_MAPS and self.is_gone:
            return dict(body)
        if place == CONFIG_MAPS:
            raise AlreadyExistsError(409, "AlreadyExists", "")
        return await super().create(place, namespace, body)

    async def get(self, place: Place, namespace: str, name: str) -> dict[str, Any]:
        return {"metadata": {"name": name, "uid": "orphan"}}


class Pauses(WorkQueue[Key]):
    """A queue that remembers what pauses it was asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.pauses_s: list[float] = []

    def add_failed(self, key: Key) -> float:
        self.pauses_s.append(super().add_failed(key))
        return self.pauses_s[-1]


def test_in_the_way__an_orphan_is_told_after_a_minute_and_tried_ever_more_rarely() -> None:
    async def run(api: Orphaned) -> tuple[list[float], Reconciler]:
        queue, now = Pauses(), [1000.0]
        children = ChildCache(job_view, queue.add), ChildCache(pod_view, queue.add)
        caches = Caches(LineCache(queue.add, queue.add), *children)
        resource = line_resource()
        resource["metadata"]["resourceVersion"] = "1"
        caches.lines.put(resource)
        async with PodProgress(9464) as reader:
            progress = Progress(caches.pods, reader, 15, queue.add)
            metrics = Metrics(Sources(lambda: caches.lines, dict, lambda: 0, lambda: True), "0")
            actor = Actor(api, caches.jobs, SETTINGS, lambda: False)
            reconcile = Reconciler(api, caches, progress, actor, queue, metrics, SETTINGS, lambda: now[0])
            for after_s in (0, 59, 2):
                now[0] += after_s
                assert not api.statuses
                await reconcile(KEY)
            (status,) = api.statuses
            assert status["state"] == "Stalled"
            assert {one["reason"] for one in status["conditions"] if one["type"] == "Stalled"} == {"NameTaken"}
            assert "belongs to nobody" in status["message"]
            assert "kubectl --namespace team delete configmaps cards-r1-" in status["message"]
            api.is_gone = True
            await reconcile(KEY)
            return queue.pauses_s, reconcile

    api = Orphaned()
    pauses_s, reconcile = asyncio.run(run(api))
    assert pauses_s == sorted(pauses_s)
    assert len(pauses_s) == 3
    assert (reconcile.in_the_way, api.statuses[-1]["state"]) == ({}, "Pending")
