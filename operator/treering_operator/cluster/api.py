"""Requests to the API server as plain JSON: a thin, typed class over the official client's login.

The official client's own methods build a tree of model objects for every answer, for which a watch of thousands of
Jobs has neither the time nor the memory. Used by everything in `cluster`, by `act` and `reconcile`. Whatever goes wrong
is one of `errors`.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator, Mapping
from typing import Any, Self

import aiohttp

from treering_operator.cluster.errors import ApiError, NotFoundError, UnavailableError, error_of
from treering_operator.cluster.login import Login
from treering_operator.cluster.places import Place

FIELD_MANAGER = "treering-operator"
PAGE_SIZE = 500
JSON = dict[str, Any]
_TIMEOUT = aiohttp.ClientTimeout(total=20, sock_connect=5)
_TRIES = 4
_FIRST_PAUSE_S = 0.2
_LONGEST_PAUSE_S = 5.0
_SLACK_S = 10.0
_BROKEN = (aiohttp.ClientError, TimeoutError, OSError, ValueError, RuntimeError)
"""What a broken connection or answer raises; aiohttp: RuntimeError where it closed between two reads."""


class Api:
    """One session with the API server; close it at the end (`async with`)."""

    def __init__(self, login: Login) -> None:
        self._server = login.server
        self._session = login.session()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    async def get(self, place: Place, namespace: str, name: str) -> JSON:
        """One object."""
        return await self._ask("GET", place.path(namespace, name))

    async def resources(self, place: Place) -> frozenset[str]:
        """Plural names of the kinds that the server has in a place's group and version."""
        answer = await self._ask("GET", "/".join(place.path().split("/")[:-1]))
        return frozenset(item["name"] for item in answer.get("resources", ()))

    async def schema(self, place: Place, kind: str) -> JSON:
        """The server's OpenAPI schema of a kind."""
        answer = await self._ask("GET", f"/openapi/v3/apis/{place.api_version}")
        for schema in answer["components"]["schemas"].values():
            if any(one.get("kind") == kind for one in schema.get("x-kubernetes-group-version-kind", ())):
                return dict(schema)
        raise NotFoundError(404, "NotFound", f"no schema of {kind}")

    async def pages(
        self, place: Place, namespace: str = "", selector: str = ""
    ) -> AsyncIterator[tuple[list[JSON], str]]:
        """All objects, page by page, each with the version of the whole list."""
        params = {"limit": str(PAGE_SIZE), **({"labelSelector": selector} if selector else {})}
        while True:
            answer = await self._ask("GET", place.path(namespace), params)
            metadata = answer["metadata"]
            yield answer.pop("items") or [], metadata["resourceVersion"]
            if not metadata.get("continue"):
                return
            params["continue"] = metadata["continue"]

    async def create(self, place: Place, namespace: str, body: Mapping[str, Any]) -> JSON:
        """Make an object. Not asked again when the answer is lost: the caller finds out what came of it."""
        params = {"fieldManager": FIELD_MANAGER}
        return await self._ask("POST", place.path(namespace), params, body, repeatable=False)

    async def replace(self, place: Place, namespace: str, name: str, body: Mapping[str, Any]) -> JSON:
        """Replace an object; with `metadata.resourceVersion` only that version of it."""
        return await self._ask("PUT", place.path(namespace, name), {}, body, repeatable=False)

    async def apply(
        self, place: Place, namespace: str, name: str, body: Mapping[str, Any], subresource: str = ""
    ) -> JSON:
        """Server-side apply; with `metadata.resourceVersion` only onto that version of the object."""
        params = {"fieldManager": FIELD_MANAGER, "force": "true"}
        path = place.path(namespace, name, subresource)
        return await self._ask("PATCH", path, params, body, content_type="application/apply-patch+yaml")

    async def merge(self, place: Place, namespace: str, name: str, body: Mapping[str, Any]) -> JSON:
        """Merge patch; with `metadata.uid` only onto that object."""
        params = {"fieldManager": FIELD_MANAGER}
        path = place.path(namespace, name)
        return await self._ask("PATCH", path, params, body, content_type="application/merge-patch+json")

    async def delete(self, place: Place, namespace: str, name: str, uid: str) -> JSON:
        """Delete the object with this UID; it goes after what it owns, so that its name is free only then."""
        options = {"preconditions": {"uid": uid}, "propagationPolicy": "Foreground"}
        return await self._ask("DELETE", place.path(namespace, name), {}, options)

    async def watch(
        self, place: Place, namespace: str, selector: str, since: str, timeout_s: float
    ) -> AsyncIterator[JSON]:
        """Events after a version, until the server ends them after `timeout_s`; an empty one first, when it began."""
        params = {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": since,
            "timeoutSeconds": str(max(1, round(timeout_s))),
            **({"labelSelector": selector} if selector else {}),
        }
        timeout = aiohttp.ClientTimeout(total=timeout_s + _SLACK_S, sock_connect=5)
        try:
            url = self._server + place.path(namespace)
            async with self._session.get(url, params=params, timeout=timeout) as response:
                if response.status >= 300:
                    raise _error(response.status, await response.read())
                yield {}
                async for line in response.content:
                    yield json.loads(line)
        except _BROKEN as error:
            raise _unreachable(error) from error

    async def _ask(
        self,
        method: str,
        path: str,
        params: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
        *,
        content_type: str = "application/json",
        repeatable: bool = True,
    ) -> JSON:
        data = None if body is None else json.dumps(body, separators=(",", ":")).encode()
        pause_s = _FIRST_PAUSE_S
        for left in reversed(range(_TRIES)):
            try:
                return await self._once(method, path, params, data, content_type)
            except UnavailableError as error:
                # too many requests: it was not carried out, so that anything may be asked again
                if not left or not (repeatable or error.status == 429):
                    raise
            await asyncio.sleep(pause_s * random.uniform(0.5, 1.5))
            pause_s = min(pause_s * 4, _LONGEST_PAUSE_S)
        raise AssertionError("unreachable")

    async def _once(
        self, method: str, path: str, params: Mapping[str, str] | None, data: bytes | None, content_type: str
    ) -> JSON:
        headers = {"Accept": "application/json"} | ({"Content-Type": content_type} if data is not None else {})
        try:
            async with self._session.request(
                method, self._server + path, params=params, data=data, headers=headers, timeout=_TIMEOUT
            ) as response:
                answer = await response.read()
                if response.status >= 300:
                    raise _error(response.status, answer)
                parsed: JSON = json.loads(answer)
                return parsed
        except _BROKEN as error:
            raise _unreachable(error) from error


def _error(status: int, answer: bytes) -> ApiError:
    try:
        said = json.loads(answer)
        return error_of(status, str(said.get("reason") or ""), str(said.get("message") or ""))
    except (ValueError, AttributeError):
        return error_of(status, "", answer[:200].decode(errors="replace"))


def _unreachable(error: Exception) -> UnavailableError:
    return UnavailableError(
        0, "Unreachable", f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    )
