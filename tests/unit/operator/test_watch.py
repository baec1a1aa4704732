from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any, cast

from tests.unit.operator.objects import job
from treering_operator.cluster.api import Api
from treering_operator.cluster.cache import ChildCache
from treering_operator.cluster.errors import GoneError, UnavailableError
from treering_operator.cluster.places import JOBS
from treering_operator.cluster.views import job_view
from treering_operator.cluster.watch import Watch

Script = list[list[dict[str, Any]] | Exception]


class ScriptedApi:
    """An API server that lists and streams what the test says, then is silent."""

    def __init__(self, lists: Script, streams: Script) -> None:
        self.lists, self.streams = lists, streams
        self.since: list[str] = []
        self.done = asyncio.Event()

    async def pages(self, *_: object) -> AsyncIterator[tuple[list[dict[str, Any]], str]]:
        page = self.lists.pop(0)
        if isinstance(page, Exception):
            raise page
        for item in page:
            yield [item], "10"
        if not page:
            yield [], "10"

    async def watch(self, place: object, namespace: str, selector: str, since: str, _: float) -> AsyncIterator[Any]:
        self.since.append(since)
        if not self.streams:
            self.done.set()
            await asyncio.Event().wait()
        events = self.streams.pop(0)
        if isinstance(events, Exception):
            raise events
        yield {}
        for event in events:
            yield event


def watched(lists: Script, streams: Script) -> tuple[list[str], ScriptedApi, Watch]:
    async def run() -> tuple[list[str], ScriptedApi, Watch]:
        api, cache = ScriptedApi(lists, streams), ChildCache(job_view, lambda _: None)
        watch = Watch(cast("Api", api), JOBS, "", "", cache, heartbeat_s=1.0)
        task = asyncio.create_task(watch.run())
        await asyncio.wait_for(api.done.wait(), 5)
        task.cancel()
        return [view.name for view in cache.of(("default", "cards"))], api, watch

    return asyncio.run(run())


def event(kind: str, raw: dict[str, Any]) -> dict[str, Any]:
    return {"type": kind, "object": raw}


def test_watch__lists_then_goes_on_from_the_lists_version() -> None:
    names, api, watch = watched([[job("a", 3)]], [[event("ADDED", job("b", 11)), event("DELETED", job("a", 12))]])
    assert names == ["b"]
    assert api.since == ["10", "12"]
    assert watch.synced.is_set()


def test_watch__bookmarks_move_it_on() -> None:
    _, api, _ = watched([[]], [[event("BOOKMARK", {"metadata": {"resourceVersion": "77"}})]])
    assert api.since == ["10", "77"]


def test_watch__forgotten_place_is_listed_anew_and_finds_deletions() -> None:
    for gone in (GoneError(410, "Expired", ""), [event("ERROR", {"code": 410, "reason": "Expired"})]):
        streams: Script = [gone]
        names, api, _ = watched([[job("a", 3), job("b", 4)], [job("b", 4)]], streams)
        assert names == ["b"]
        assert api.since == ["10", "10"]


def test_watch__goes_on_where_a_broken_stream_ended() -> None:
    names, api, _ = watched([[]], [[event("ADDED", job("a", 11))], UnavailableError(0, "Unreachable", "cut")])
    assert names == ["a"]
    assert api.since == ["10", "11", "11"]


def test_watch__an_unreachable_server_is_asked_again() -> None:
    names, _, watch = watched([UnavailableError(0, "Unreachable", "down"), [job("a", 1)]], [])
    assert names == ["a"]
    assert watch.synced.is_set()
