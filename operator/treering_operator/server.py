"""The operator's own HTTP: /metrics for Prometheus, /healthz and /readyz for the kubelet. Run by `service`.

Healthy means that everything which must move has moved of late; what has not is named, so that the restart can be
understood afterwards. Ready means that the caches are full, on replicas that wait for the Lease, too.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from aiohttp import web

from treering_api import BadSpecError


class Server:
    """Serves until closed.

    Args:
        listen: HOST:PORT; an IPv6 address in brackets.
        metrics: the exposition.
        dead: what does not move any more, in words; empty: all is well.
        unready: what is not there yet, in words; empty: ready.
    """

    def __init__(
        self,
        listen: str,
        metrics: Callable[[], bytes],
        dead: Callable[[], list[str]],
        unready: Callable[[], list[str]],
    ) -> None:
        self._host, self._port = address(listen)
        self._metrics, self._dead, self._unready = metrics, dead, unready
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        """Begin to serve.

        Raises:
            OSError: the address can't be listened on.
        """
        app = web.Application()
        app.router.add_get("/metrics", self._get_metrics)
        app.router.add_get("/healthz", self._get_health)
        app.router.add_get("/readyz", self._get_readiness)
        self._runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=1.0)
        await self._runner.setup()
        await web.TCPSite(self._runner, self._host, self._port).start()

    async def close(self) -> None:
        """Serve no longer."""
        if self._runner is not None:
            await self._runner.cleanup()

    async def _get_metrics(self, _: web.Request) -> web.Response:
        text = await asyncio.to_thread(self._metrics)  # thousands of lines take long: nothing else waits for it
        return web.Response(body=text, headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"})

    async def _get_health(self, _: web.Request) -> web.Response:
        return _answer(self._dead())

    async def _get_readiness(self, _: web.Request) -> web.Response:
        return _answer(self._unready())


def address(listen: str) -> tuple[str, int]:
    """Host and port of HOST:PORT.

    Raises:
        BadSpecError: it is no such thing.
    """
    host, colon, port = listen.rpartition(":")
    if not colon or not port.isdecimal() or int(port) > 65535:
        raise BadSpecError("--listen", f"found {listen!r}", "Write HOST:PORT, such as 0.0.0.0:8080 or [::]:8080")
    return host.removeprefix("[").removesuffix("]"), int(port)


def _answer(wrong: list[str]) -> web.Response:
    return web.Response(text="\n".join(wrong or ["ok"]) + "\n", status=503 if wrong else 200)
