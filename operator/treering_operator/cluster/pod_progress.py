"""What a running pod says about its round: `GET /progress` on its own address, never waited for long."""

from __future__ import annotations

import ipaddress
import json
from types import TracebackType
from typing import Any, Self

import aiohttp

_TIMEOUT = aiohttp.ClientTimeout(total=2.0)
_LARGEST_BYTES = 65_536  # a pod runs what its user says: never believe its answer's size


class PodProgress:
    """One session with all pods; close it at the end (`async with`)."""

    def __init__(self, port: int) -> None:
        self._port = port
        connector = aiohttp.TCPConnector(force_close=True)
        # nothing is unpacked: a few packed kilobytes may be gigabytes
        plain = {"Accept-Encoding": "identity"}
        self._session = aiohttp.ClientSession(
            timeout=_TIMEOUT, connector=connector, headers=plain, auto_decompress=False
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._session.close()

    async def read(self, ip: str) -> dict[str, Any] | None:
        """The round's progress as JSON, None where the pod does not say."""
        try:
            host = f"[{ip}]" if ipaddress.ip_address(ip).version == 6 else ip
            url = f"http://{host}:{self._port}/progress"
            async with self._session.get(url, allow_redirects=False) as response:
                if response.status != 200:
                    return None
                said = json.loads(await _bounded(response))
                return said if isinstance(said, dict) else None
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError, RecursionError):
            return None


async def _bounded(response: aiohttp.ClientResponse) -> bytes:
    answer = b""
    async for chunk in response.content.iter_chunked(8192):
        answer += chunk
        if len(answer) > _LARGEST_BYTES:
            raise ValueError("too large for progress")
    return answer
