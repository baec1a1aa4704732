"""An HTTP proxy before the API server that cuts, refuses and falls silent: ask for `api_proxy`.

Writes are counted, those of the Lease and questions about permissions apart. At the k-th write the connection is cut:
either before it reaches the server or after, so that nobody hears the answer; from then on nothing passes until `mend`.
"""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import aiohttp
import pytest
import yaml
from aiohttp import web

from tests.plugins.api_server import ApiServer

Cut = Literal["refused", "answer lost"]
_UNCOUNTED = ("/leases", "/selfsubjectaccessreviews")
_HOP_HEADERS = {"host", "transfer-encoding", "content-length", "connection", "content-encoding"}


@dataclass
class ApiProxy:
    """Where to connect, what goes wrong, and what was seen.

    Args:
        server: the API server behind it.
        folder: for its kubeconfig.
    """

    server: ApiServer
    folder: Path
    port: int = 0
    writes: list[str] = field(default_factory=list)
    silent: threading.Event = field(default_factory=threading.Event)
    cut: threading.Event = field(default_factory=threading.Event)
    _cut_at: tuple[int, Cut] | None = None

    def kubeconfig(self, token: str | None = None) -> Path:
        """A kubeconfig that leads through the proxy."""
        path = self.folder / "through-proxy.yaml"
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "proxy",
            "clusters": [{"name": "proxy", "cluster": {"server": f"http://127.0.0.1:{self.port}"}}],
            "users": [{"name": "proxy", "user": {"token": token or self.server.token}}],
            "contexts": [{"name": "proxy", "context": {"cluster": "proxy", "user": "proxy"}}],
        }
        path.write_text(yaml.safe_dump(config))
        return path

    def cut_at(self, write: int, how: Cut) -> None:
        """From the write of this number on, counted from 1 and from now, nothing passes."""
        self.mend()
        self.writes.clear()
        self._cut_at = (write, how)

    def mend(self) -> None:
        """Everything passes."""
        self._cut_at = None
        self.cut.clear()
        self.silent.clear()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Pass one request on, or not."""
        body = await request.read()
        counted = request.method != "GET" and not any(part in request.path for part in _UNCOUNTED)
        if counted:
            self.writes.append(f"{request.method} {request.path}")
            if self._cut_at is not None and len(self.writes) == self._cut_at[0]:
                if self._cut_at[1] == "answer lost":
                    await self._forward(request, body, None)
                self.cut.set()
        if self.cut.is_set() or self.silent.is_set():
            return await self._hang(request)
        response = web.StreamResponse()
        await self._forward(request, body, response)
        return response

    async def _hang(self, request: web.Request) -> web.StreamResponse:
        while self.silent.is_set() and not self.cut.is_set():
            await asyncio.sleep(0.05)
        if request.transport is not None:
            request.transport.abort()
        return web.Response(status=503)

    async def _forward(self, request: web.Request, body: bytes, response: web.StreamResponse | None) -> None:
        headers = {name: text for name, text in request.headers.items() if name.lower() not in _HOP_HEADERS}
        session: aiohttp.ClientSession = request.app[_SESSION]
        async with session.request(
            request.method, self.server.url + request.path_qs, data=body or None, headers=headers
        ) as answer:
            if response is None:
                await answer.read()
                return
            response.set_status(answer.status)
            response.headers["Content-Type"] = answer.headers.get("Content-Type", "application/json")
            await response.prepare(request)
            async for chunk in answer.content.iter_any():
                while self.silent.is_set():
                    await asyncio.sleep(0.05)
                if self.cut.is_set():
                    if request.transport is not None:
                        request.transport.abort()
                    return
                await response.write(chunk)
            await response.write_eof()


_SESSION = web.AppKey("session", aiohttp.ClientSession)


@pytest.fixture
def api_proxy(api_server: ApiServer, tmp_path: Path) -> Iterator[ApiProxy]:
    proxy = ApiProxy(api_server, tmp_path)
    loop, ready = asyncio.new_event_loop(), threading.Event()
    stopping = asyncio.Event()
    thread = threading.Thread(target=loop.run_until_complete, args=(_serve(proxy, ready, stopping),), daemon=True)
    thread.start()
    assert ready.wait(10)
    yield proxy
    loop.call_soon_threadsafe(stopping.set)
    thread.join(10)


async def _serve(proxy: ApiProxy, ready: threading.Event, stopping: asyncio.Event) -> None:
    trust = ssl.create_default_context(cafile=str(proxy.server.ca))
    timeout = aiohttp.ClientTimeout(total=None)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=trust, limit=0), timeout=timeout) as session:
        app = web.Application(client_max_size=2**24)
        app[_SESSION] = session
        app.router.add_route("*", "/{path:.*}", proxy.handle)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        proxy.port = runner.addresses[0][1]
        ready.set()
        await stopping.wait()
        await runner.cleanup()
