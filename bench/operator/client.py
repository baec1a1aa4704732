"""A thin client of the API server: JSON in, JSON out, and watches that see metadata only."""

from __future__ import annotations

import json
import ssl
from collections.abc import AsyncIterator, Mapping
from types import TracebackType
from typing import Any, Self

import aiohttp

_METADATA = "application/json;as=PartialObjectMetadata{};g=meta.k8s.io;v=v1"


class ApiError(RuntimeError):
    """The API server refused."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(f"{status}: {text[:1000]}")
        self.status = status


class Client:
    """One administrator's connection."""

    def __init__(self, url: str, ca: str, token: str) -> None:
        self._url = url
        connector = aiohttp.TCPConnector(limit=64, ssl=ssl.create_default_context(cafile=ca))
        self._session = aiohttp.ClientSession(
            connector=connector,
            headers={"Authorization": f"Bearer {token}", "User-Agent": "treering-bench"},
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=10),
            read_bufsize=2**20,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self._session.close()

    async def get(self, path: str) -> Any:
        """Read an object or a list."""
        return await self._call("GET", path)

    async def create(self, path: str, body: Mapping[str, Any]) -> Any:
        """Make an object in a collection."""
        return await self._call("POST", path, body)

    async def patch(self, path: str, body: Any, kind: str = "json-patch") -> Any:
        """Change an object by a JSON patch (or a `merge-patch`)."""
        return await self._call("PATCH", path, body, {"Content-Type": f"application/{kind}+json"})

    async def watch(self, path: str, selector: str = "", fields: str = "") -> AsyncIterator[tuple[str, dict[str, Any]]]:
        """What happens in a collection from now on, as (ADDED | MODIFIED | DELETED, metadata); OPENED comes first.

        A stream that the server ends, as it does with a client that it finds slow, is taken up where it ended.
        """
        query = {"labelSelector": selector} if selector else {}
        query |= {"fieldSelector": fields} if fields else {}
        head = {"Accept": _METADATA.format("List")}
        async with self._session.get(self._url + path, params={**query, "limit": "1"}, headers=head) as answer:
            version = (await _checked(answer))["metadata"]["resourceVersion"]
        yield "OPENED", {}
        while True:
            async for happening, metadata in self._stream(path, {**query, "resourceVersion": version}):
                version = metadata["resourceVersion"]
                yield happening, metadata

    async def _stream(self, path: str, query: Mapping[str, str]) -> AsyncIterator[tuple[str, dict[str, Any]]]:
        head = {"Accept": _METADATA.format("")}
        async with self._session.get(self._url + path, params={**query, "watch": "1"}, headers=head) as answer:
            if answer.status != 200:
                await _checked(answer)
            async for line in answer.content:
                event = json.loads(line)
                if event["type"] == "ERROR":
                    raise ApiError(event["object"].get("code", 0), str(event["object"]))
                yield event["type"], event["object"]["metadata"]

    async def _call(self, method: str, path: str, body: Any = None, head: Mapping[str, str] | None = None) -> Any:
        data = None if body is None else json.dumps(body)
        headers = {"Content-Type": "application/json", **(head or {})}
        async with self._session.request(method, self._url + path, data=data, headers=headers) as answer:
            return await _checked(answer)


async def _checked(answer: aiohttp.ClientResponse) -> Any:
    if answer.status >= 400:
        raise ApiError(answer.status, await answer.text())
    return json.loads(await answer.read())
