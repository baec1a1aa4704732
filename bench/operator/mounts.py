"""The part of the fake node that KWOK can't play: a pod starts once it is bound and its ConfigMap is there.

Without it a pod would start without its plan, and an operator that never writes plans would look the better for it.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from bench.operator import fake_node
from bench.operator.client import ApiError, Client

_LINE = "treering.dev/line"
_JOB = "batch.kubernetes.io/job-name"
_NOT_FOUND = 404


@dataclass
class Mounts:
    """Starts pods. Their ConfigMap has the name of their Job."""

    client: Client
    _waiting: dict[str, str] = field(default_factory=dict)
    _there: set[str] = field(default_factory=set)

    async def run(self) -> None:
        """Watch until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._watch_pods())
            group.create_task(self._watch_maps())

    async def _watch_pods(self) -> None:
        bound = f"spec.nodeName={fake_node.NAME}"
        async for happening, metadata in self.client.watch("/api/v1/pods", _LINE, bound):
            if happening == "ADDED":
                self._waiting[metadata["labels"][_JOB]] = f"{metadata['namespace']}/pods/{metadata['name']}"
                await self._start(metadata["labels"][_JOB])

    async def _watch_maps(self) -> None:
        async for happening, metadata in self.client.watch("/api/v1/configmaps", _LINE):
            if happening == "ADDED":
                self._there.add(metadata["name"])
                await self._start(metadata["name"])

    async def _start(self, job: str) -> None:
        if job not in self._there or job not in self._waiting:
            return
        path = f"/api/v1/namespaces/{self._waiting.pop(job)}/status"
        try:
            await self.client.patch(path, {"status": started(datetime.now(UTC))}, "merge-patch")
        except ApiError as error:
            if error.status != _NOT_FOUND:  # deleted meanwhile
                raise


def started(now: datetime) -> dict[str, Any]:
    """Status of a trainer's pod that has just started, as KWOK writes it for the others."""
    time = now.isoformat(timespec="seconds").replace("+00:00", "Z")
    conditions = [
        {"type": kind, "status": "True", "lastTransitionTime": time}
        for kind in ("PodScheduled", "Initialized", "Ready", "ContainersReady")
    ]
    container = {
        "name": "trainer",
        "image": "bench.invalid/trainer:1",
        "imageID": "",
        "ready": True,
        "restartCount": 0,
        "started": True,
        "state": {"running": {"startedAt": time}},
    }
    return {
        "phase": "Running",
        "startTime": time,
        "hostIP": "127.0.0.1",
        "podIP": "127.0.0.1",
        "podIPs": [{"ip": "127.0.0.1"}],
        "conditions": conditions,
        "containerStatuses": [container],
    }
