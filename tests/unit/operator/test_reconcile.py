"""What a reconcile leaves in the status when the API server refuses what it decided."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from tests.unit.operator.decide.world import SETTINGS, line_resource
from treering_operator.act import Actor
from treering_operator.cluster.api import Api
from treering_operator.cluster.cache import ChildCache, Key, LineCache
from treering_operator.cluster.errors import ForbiddenError
from treering_operator.cluster.places import CONFIG_MAPS, Place
from treering_operator.cluster.pod_progress import PodProgress
from treering_operator.cluster.views import job_view, pod_view
from treering_operator.metrics import Metrics, Sources
from treering_operator.observe import Caches, Progress
from treering_operator.queue import WorkQueue
from treering_operator.reconcile import Reconciler


class Full(Api):
    """An API server where a quota keeps the plan from being made, after the Job was."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.statuses: list[dict[str, Any]] = []

    async def create(self, place: Place, namespace: str, body: Mapping[str, Any]) -> dict[str, Any]:
        self.asked.append(place.plural)
        if place == CONFIG_MAPS:
            raise ForbiddenError(403, "Forbidden", "exceeded quota: configmaps")
        created = {"uid": f"uid-{len(self.asked)}", "resourceVersion": "7", "creationTimestamp": "2026-11-24T10:00:00Z"}
        return {**body, "metadata": {**body["metadata"], **created}}

    async def apply(
        self, place: Place, namespace: str, name: str, body: Mapping[str, Any], subresource: str = ""
    ) -> dict[str, Any]:
        if not subresource:
            return dict(body)
        self.statuses.append(body["status"])
        version = str(10 + len(self.statuses))
        answer = line_resource() | {"status": body["status"]}
        answer["metadata"]["resourceVersion"] = version
        return answer


def test_reconcile__of_a_job_whose_plan_is_refused_is_tried_again_and_told_once() -> None:
    async def run(api: Full) -> None:
        queue: WorkQueue[Key] = WorkQueue()
        children = ChildCache(job_view, queue.add), ChildCache(pod_view, queue.add)
        caches = Caches(LineCache(queue.add, queue.add), *children)
        resource = line_resource()
        resource["metadata"]["resourceVersion"] = "1"
        caches.lines.put(resource)
        reader = PodProgress(9464)
        progress = Progress(caches.pods, reader, 15, queue.add)
        metrics = Metrics(Sources(lambda: caches.lines, dict, lambda: 0, lambda: True), "0")
        actor = Actor(api, caches.jobs, SETTINGS, lambda: False)
        reconcile = Reconciler(api, caches, progress, actor, queue, metrics, SETTINGS)
        for _ in range(3):
            await reconcile(("team", "cards"))
            await asyncio.sleep(1.1)  # times in a status are of seconds
        await reader.__aexit__(None, None, None)

    api = Full()
    asyncio.run(run(api))
    assert api.asked == ["jobs", *["configmaps"] * 3]
    _, status = api.statuses  # the second one knows of the Job; the third would be no news
    assert (status["state"], status["planDigest"], status["job"]) == ("Stalled", "", "")
    assert "exceeded quota: configmaps" in status["message"]
