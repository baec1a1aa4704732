"""A list that stays true: every object of one kind and label, listed page by page, then watched for ever.

Run by `service`, one for each kind and namespace. A broken stream goes on where it ended; a forgotten place in the
history (410) is listed anew, which also finds what was deleted meanwhile. `heard` says when the server was last heard:
it ends each stream after `heartbeat_s` at the latest, so that a longer silence means a dead watch, not a quiet cluster.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Set as AbstractSet
from typing import Protocol

from treering_operator.cluster.api import JSON, Api
from treering_operator.cluster.errors import ApiError, GoneError, error_of
from treering_operator.cluster.places import Place

log = logging.getLogger(__name__)
_FIRST_PAUSE_S = 0.1
_LONGEST_PAUSE_S = 10.0
_ONE_LIST = asyncio.Lock()  # lists are large: one after the other
_BETWEEN_STREAMS_S = 0.05  # a server that ends every stream at once must not be asked without end


class Sink(Protocol):
    """Who is told."""

    def put(self, raw: JSON) -> None:
        """An object as it is now."""

    def drop(self, raw: JSON) -> None:
        """An object that is gone, as it was last."""

    def keep(self, namespace: str, uids: AbstractSet[str], version: int) -> None:
        """Of the objects up to a version in a namespace (empty: everywhere), only these are there."""


class Watch:
    """Keeps a sink true to the API server.

    Args:
        api: the session.
        place: the kind.
        namespace: only here; empty: everywhere.
        selector: only objects with these labels; empty: all.
        sink: who is told.
        heartbeat_s: the longest silence of a healthy watch.
    """

    def __init__(
        self, api: Api, place: Place, namespace: str, selector: str, sink: Sink, heartbeat_s: float = 60.0
    ) -> None:
        self.name, self.namespace = place.plural, namespace
        self.synced = asyncio.Event()
        self.heard = time.monotonic()
        self._api, self._place = api, place
        self._selector, self._sink, self._heartbeat_s = selector, sink, heartbeat_s
        self._version, self._pause_s = "", _FIRST_PAUSE_S

    async def run(self) -> None:
        """List and watch until cancelled. Errors are told and waited out, never raised."""
        while True:
            try:
                if not self._version:
                    self._version = await self._list()
                await self._stream()
                await asyncio.sleep(_BETWEEN_STREAMS_S)
                continue
            except GoneError:
                self._version = ""
            except ApiError as error:
                log.warning("watch of %s broke off: %s", self.name, error)
            await asyncio.sleep(self._pause_s * random.uniform(0.5, 1.5))
            self._pause_s = min(self._pause_s * 2, _LONGEST_PAUSE_S)

    async def _list(self) -> str:
        """List everything into the sink; the version to watch from."""
        version = await fill(self._api, self._place, self.namespace, self._selector, self._sink)
        self.heard = time.monotonic()
        self.synced.set()
        return version

    async def _stream(self) -> None:
        """Take in one stream, from the version reached on."""
        timeout_s = self._heartbeat_s * random.uniform(0.7, 0.9)
        async for event in self._api.watch(self._place, self.namespace, self._selector, self._version, timeout_s):
            self.heard = time.monotonic()
            self._pause_s = _FIRST_PAUSE_S
            if event:
                self._version = self._take(event)

    def _take(self, event: JSON) -> str:
        kind, raw = event["type"], event["object"]
        if kind == "ERROR":
            raise error_of(int(raw.get("code", 0)), str(raw.get("reason", "")), str(raw.get("message", "")))
        if kind in {"ADDED", "MODIFIED"}:
            self._sink.put(raw)
        elif kind == "DELETED":
            self._sink.drop(raw)
        version: str = raw["metadata"]["resourceVersion"]
        return version


async def fill(api: Api, place: Place, namespace: str, selector: str, sink: Sink) -> str:
    """List everything into a sink once, page by page, and tell it what is there no longer; the list's version."""
    uids, version = set[str](), ""
    async with _ONE_LIST:
        async for page in api.pages(place, namespace, selector):
            items, version = page
            while items:  # what was taken in is let go of: a page is tens of megabytes
                raw = items.pop()
                uids.add(raw["metadata"]["uid"])
                sink.put(raw)
    sink.keep(namespace, uids, int(version))
    return version
