from __future__ import annotations

import asyncio

import aiohttp
import pytest

from tests.plugins.programs import free_port
from treering_api import BadSpecError
from treering_operator.server import Server, address


def test_server__says_what_is_wrong_with_503() -> None:
    async def run() -> None:
        dead: list[str] = []
        port = free_port()
        server = Server(f"127.0.0.1:{port}", lambda: b"treering_lines 1.0\n", lambda: dead, lambda: ["not yet"])
        await server.start()
        try:
            async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session:
                async with session.get("/healthz") as answer:
                    assert (answer.status, await answer.text()) == (200, "ok\n")
                dead.append("the watch of jobs")
                async with session.get("/healthz") as answer:
                    assert (answer.status, await answer.text()) == (503, "the watch of jobs\n")
                async with session.get("/readyz") as answer:
                    assert (answer.status, await answer.text()) == (503, "not yet\n")
                async with session.get("/metrics") as answer:
                    assert answer.content_type == "text/plain"
                    assert "treering_lines" in await answer.text()
        finally:
            await server.close()

    asyncio.run(run())


@pytest.mark.parametrize(
    ("listen", "host", "port"),
    [("0.0.0.0:8080", "0.0.0.0", 8080), ("[::]:80", "::", 80), (":8080", "", 8080)],
    ids=["v4", "v6", "any"],
)
def test_address__is_read(listen: str, host: str, port: int) -> None:
    assert address(listen) == (host, port)


@pytest.mark.parametrize("listen", ["8080", "host:", "host:http", "host:70000"])
def test_address__refuses_what_is_none(listen: str) -> None:
    with pytest.raises(BadSpecError, match="HOST:PORT"):
        address(listen)
