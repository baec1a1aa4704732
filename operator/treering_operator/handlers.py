"""kopf's part of the operator, all of it: which events it tells us of, and how it is set up. Read by `service`.

kopf watches lines and nothing else: no annotations, no finalizers, no events, no peering; every event is a reason to
look at the line as a whole. Jobs and pods are watched by `cluster.watch`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import kopf

from treering_api import GROUP, VERSION
from treering_operator.cluster.places import LINES

_REQUEST_TIMEOUT_S = 20
_CONNECT_TIMEOUT_S = 5


@dataclass(frozen=True)
class Hooks:
    """What kopf calls.

    Args:
        put: a line as it is now.
        drop: a line that is gone.
        login: how to reach the API server.
        heartbeat_s: the longest silence of a healthy watch.
    """

    put: Callable[[dict[str, Any]], None]
    drop: Callable[[dict[str, Any]], None]
    login: Callable[[], kopf.AiohttpSession]
    heartbeat_s: float


def registry(hooks: Hooks) -> kopf.OperatorRegistry:
    """Every handler of the operator."""
    handlers = kopf.OperatorRegistry()

    @kopf.on.startup(registry=handlers)
    async def started(settings: kopf.OperatorSettings, **_: Any) -> None:
        configure(settings, hooks.heartbeat_s)

    @kopf.on.login(registry=handlers)
    async def logged_in(**_: Any) -> kopf.AiohttpSession:
        return hooks.login()

    @kopf.on.event(GROUP, VERSION, LINES.plural, registry=handlers)
    async def happened(event: Mapping[str, Any], **_: Any) -> None:
        (hooks.drop if event["type"] == "DELETED" else hooks.put)(event["object"])

    return handlers


def configure(settings: kopf.OperatorSettings, heartbeat_s: float) -> None:
    """Set kopf up so that it writes nothing and never waits for ever."""
    settings.posting.enabled = False
    settings.scanning.disabled = True
    settings.peering.standalone = True
    settings.watching.server_timeout = max(1, round(heartbeat_s * 0.8))
    settings.watching.client_timeout = heartbeat_s + _REQUEST_TIMEOUT_S
    settings.watching.connect_timeout = _CONNECT_TIMEOUT_S
    settings.watching.inactivity_timeout = heartbeat_s + _REQUEST_TIMEOUT_S
    settings.watching.chunk_size = 500
    settings.networking.request_timeout = _REQUEST_TIMEOUT_S
    settings.networking.connect_timeout = _CONNECT_TIMEOUT_S
    settings.networking.error_backoffs = (0.2, 1, 3)
    settings.persistence.diffbase_storage = _NoDiffs()
    settings.queueing.idle_timeout = 1.0
    settings.queueing.exit_timeout = 1.0
    settings.background.instant_exit_timeout = 1.0
    settings.process.ultimate_exiting_timeout = None


class _NoDiffs(kopf.DiffBaseStorage):
    """kopf compares each object with the last one seen, which nobody here asks for: a third of what an event costs."""

    def build(self, *, body: kopf.Body, extra_fields: Any = None) -> kopf.BodyEssence:  # noqa: ARG002
        return kopf.BodyEssence()

    def fetch(self, *, body: kopf.Body) -> kopf.BodyEssence | None:  # noqa: ARG002
        return None

    def store(self, *, body: kopf.Body, patch: kopf.Patch, essence: kopf.BodyEssence) -> None:
        """Keep nothing."""
