from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, cast

import aiohttp
import pytest
from aiohttp import web

from treering_operator.cluster.api import Api
from treering_operator.cluster.errors import (
    AlreadyExistsError,
    ApiError,
    ConflictError,
    ForbiddenError,
    GoneError,
    InvalidError,
    NotFoundError,
    UnavailableError,
)
from treering_operator.cluster.login import Login
from treering_operator.cluster.places import JOBS, LINES, PODS

Answer = tuple[int, dict[str, Any]]


class FakeLogin:
    def __init__(self, server: str) -> None:
        self.server = server

    def session(self) -> aiohttp.ClientSession:
        return aiohttp.ClientSession()


def asked(answers: list[Answer], ask: Callable[[Api], Awaitable[Any]]) -> tuple[Any, list[web.Request]]:
    """What `ask` gave against a server with these answers, and what was asked for."""
    seen: list[web.Request] = []

    async def run() -> Any:
        async def handle(request: web.Request) -> web.Response:
            await request.read()
            seen.append(request)
            status, body = answers.pop(0)
            return web.json_response(body, status=status)

        app = web.Application()
        app.router.add_route("*", "/{path:.*}", handle)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        try:
            async with Api(cast("Login", FakeLogin(f"http://127.0.0.1:{runner.addresses[0][1]}"))) as api:
                return await ask(api)
        finally:
            await runner.cleanup()

    return asyncio.run(run()), seen


@pytest.mark.parametrize(
    ("status", "reason", "kind"),
    [
        (404, "NotFound", NotFoundError),
        (409, "Conflict", ConflictError),
        (409, "AlreadyExists", AlreadyExistsError),
        (403, "Forbidden", ForbiddenError),
        (422, "Invalid", InvalidError),
        (410, "Expired", GoneError),
    ],
)
def test_errors__are_told_apart(status: int, reason: str, kind: type[ApiError]) -> None:
    refusal = (status, {"reason": reason, "message": "because"})
    with pytest.raises(kind, match="because"):
        asked([refusal], lambda api: api.create(JOBS, "default", {}))


def test_retries__a_busy_server_is_asked_again() -> None:
    got, seen = asked([(503, {}), (429, {}), (200, {"ok": 1})], lambda api: api.get(JOBS, "default", "a"))
    assert got == {"ok": 1}
    assert len(seen) == 3


def test_retries__a_create_whose_fate_is_unknown_is_not_repeated() -> None:
    with pytest.raises(UnavailableError):
        asked([(500, {})], lambda api: api.create(JOBS, "default", {}))


def test_retries__a_create_that_was_turned_away_is() -> None:
    got, _ = asked([(429, {}), (201, {"made": 1})], lambda api: api.create(JOBS, "default", {}))
    assert got == {"made": 1}


def test_unreachable__server_is_unavailable_not_a_traceback() -> None:
    async def run() -> None:
        async with Api(cast("Login", FakeLogin("http://127.0.0.1:1"))) as api:
            await api.create(JOBS, "default", {})

    with pytest.raises(UnavailableError, match="Unreachable"):
        asyncio.run(run())


def test_pages__are_followed_to_the_end() -> None:
    first = (200, {"items": [{"a": 1}], "metadata": {"resourceVersion": "7", "continue": "more"}})
    second = (200, {"items": [{"b": 2}], "metadata": {"resourceVersion": "7"}})

    async def collect(api: Api) -> list[Any]:
        return [page async for page in api.pages(PODS, "", "treering.dev/line")]

    got, seen = asked([first, second], collect)
    assert got == [([{"a": 1}], "7"), ([{"b": 2}], "7")]
    assert seen[0].query == {"limit": "500", "labelSelector": "treering.dev/line"}
    assert seen[1].query["continue"] == "more"


def test_apply__is_server_side_and_forced() -> None:
    _, seen = asked([(200, {})], lambda api: api.apply(LINES, "ns", "cards", {}, "status"))
    assert seen[0].path == "/apis/treering.dev/v1alpha1/namespaces/ns/incrementaltrains/cards/status"
    assert seen[0].content_type == "application/apply-patch+yaml"
    assert seen[0].query == {"fieldManager": "treering-operator", "force": "true"}
