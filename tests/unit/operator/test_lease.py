from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, cast

import pytest

from treering_operator.cluster import lease as module
from treering_operator.cluster.api import Api
from treering_operator.cluster.errors import AlreadyExistsError, ConflictError, NotFoundError, UnavailableError
from treering_operator.cluster.lease import Lease, LeaseLostError


class LeaseServer:
    """An API server that has one Lease, with optimistic locking."""

    def __init__(self) -> None:
        self.lease: dict[str, Any] | None = None
        self.down = False
        self.version = 0

    async def get(self, *_: object) -> dict[str, Any]:
        if self.down:
            raise UnavailableError(0, "Unreachable", "down")
        if self.lease is None:
            raise NotFoundError(404, "NotFound", "")
        return {"metadata": dict(self.lease["metadata"]), "spec": dict(self.lease["spec"])}

    async def create(self, place: object, namespace: str, body: Mapping[str, Any]) -> dict[str, Any]:
        if self.lease is not None:
            raise AlreadyExistsError(409, "AlreadyExists", "")
        return self._store(body)

    async def replace(self, place: object, namespace: str, name: str, body: Mapping[str, Any]) -> dict[str, Any]:
        if body["metadata"]["resourceVersion"] != self.version:
            raise ConflictError(409, "Conflict", "")
        return self._store(body)

    def _store(self, body: Mapping[str, Any]) -> dict[str, Any]:
        self.version += 1
        self.lease = {"metadata": {"resourceVersion": self.version}, "spec": dict(body["spec"])}
        return self.lease


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "DURATION_S", 1.0)
    monkeypatch.setattr(module, "DEADLINE_S", 0.4)
    monkeypatch.setattr(module, "RETRY_S", 0.05)


def replica(server: LeaseServer, name: str) -> Lease:
    return Lease(cast("Api", server), "ns", "treering-operator", name)


def test_lease__is_held_by_one_of_two_and_handed_on_when_given_back() -> None:
    async def run() -> None:
        server = LeaseServer()
        first, second = replica(server, "a"), replica(server, "b")
        tasks = [asyncio.create_task(first.run())]
        await asyncio.wait_for(first.held.wait(), 1)
        tasks.append(asyncio.create_task(second.run()))
        await asyncio.sleep(1.3)
        assert not second.held.is_set(), "the holder renews it"
        tasks[0].cancel()
        await first.release()
        await asyncio.wait_for(second.held.wait(), 0.5)
        assert server.lease is not None
        assert server.lease["spec"]["holderIdentity"] == "b"
        assert server.lease["spec"]["leaseTransitions"] == 1
        tasks[1].cancel()

    asyncio.run(run())


def test_lease__of_a_dead_holder_is_taken_after_its_time_whatever_its_clock_said() -> None:
    async def run() -> None:
        server = LeaseServer()
        spec = {"holderIdentity": "dead", "leaseDurationSeconds": 1, "renewTime": "2100-01-01T00:00:00.000000Z"}
        server._store({"spec": spec})
        heir = replica(server, "b")
        task = asyncio.create_task(heir.run())
        await asyncio.sleep(0.6)
        assert not heir.held.is_set()
        await asyncio.wait_for(heir.held.wait(), 2)
        task.cancel()

    asyncio.run(run())


def test_lease__taken_by_another_is_lost_at_once() -> None:
    async def run() -> None:
        server = LeaseServer()
        holder = replica(server, "a")
        task = asyncio.create_task(holder.run())
        await asyncio.wait_for(holder.held.wait(), 1)
        assert server.lease is not None
        server._store({"spec": server.lease["spec"] | {"holderIdentity": "b"}})
        with pytest.raises(LeaseLostError):
            await asyncio.wait_for(task, 1)

    asyncio.run(run())


def test_lease__that_cannot_be_renewed_is_lost_before_it_runs_out() -> None:
    async def run() -> None:
        server = LeaseServer()
        holder = replica(server, "a")
        task = asyncio.create_task(holder.run())
        await asyncio.wait_for(holder.held.wait(), 1)
        server.down = True
        with pytest.raises(LeaseLostError):
            await asyncio.wait_for(task, module.DURATION_S)

    asyncio.run(run())


def test_lease__that_is_never_answered_is_lost_at_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "DEADLINE_S", 1.0)
    monkeypatch.setattr(module, "RETRY_S", 0.3)

    async def never(*_: object) -> dict[str, Any]:
        await asyncio.sleep(60)
        raise AssertionError("nobody waits for so long")

    async def run() -> float:
        server = LeaseServer()
        holder = replica(server, "a")
        task = asyncio.create_task(holder.run())
        await asyncio.wait_for(holder.held.wait(), 1)
        monkeypatch.setattr(server, "get", never)
        began_s = asyncio.get_running_loop().time()
        with pytest.raises(LeaseLostError):
            await asyncio.wait_for(task, 5)
        return asyncio.get_running_loop().time() - began_s

    assert asyncio.run(run()) < 1.2
