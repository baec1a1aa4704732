from __future__ import annotations

import asyncio
import gzip
from typing import Any

import pytest
from aiohttp import web

from treering_operator.cluster.pod_progress import PodProgress


def read(
    ip: str, body: str | bytes, *, status: int = 200, delay_s: float = 0.0, packed: bool = False
) -> dict[str, Any] | None:
    async def run() -> dict[str, Any] | None:
        async def handle(_: web.Request) -> web.Response:
            await asyncio.sleep(delay_s)
            headers = {"Content-Encoding": "gzip"} if packed else {}
            return web.Response(body=body, status=status, headers=headers)

        app = web.Application()
        app.router.add_get("/progress", handle)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, ip, 0).start()
        try:
            async with PodProgress(runner.addresses[0][1]) as progress:
                return await progress.read(ip)
        finally:
            await runner.cleanup()

    return asyncio.run(run())


@pytest.mark.parametrize("ip", ["127.0.0.1", "::1"])
def test_progress__is_read(ip: str) -> None:
    assert read(ip, '{"percent": 5}') == {"percent": 5}


@pytest.mark.parametrize(
    ("body", "status"),
    [("{}", 503), ("not json", 200), ("[1]", 200), ("[" * 60_000, 200), ('{"a": "' + "x" * 100_000 + '"}', 200)],
    ids=["refused", "no json", "no object", "too deep", "too large"],
)
def test_progress__of_an_odd_pod_is_none(body: str, status: int) -> None:
    assert read("127.0.0.1", body, status=status) is None


def test_progress__that_is_packed_is_not_unpacked() -> None:
    assert read("127.0.0.1", gzip.compress(b"{}" + b" " * 50_000), packed=True) is None


def test_progress__of_a_slow_pod_is_not_waited_for() -> None:
    assert read("127.0.0.1", "{}", delay_s=5) is None


def test_progress__of_something_that_is_no_address_is_none() -> None:
    async def run() -> dict[str, Any] | None:
        async with PodProgress(9464) as progress:
            return await progress.read("evil.example/x?")

    assert asyncio.run(run()) is None
