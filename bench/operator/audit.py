"""Who asked the API server for what, from its audit log: one JSON object a line, one line a finished request."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

Calls = Counter[tuple[str, str]]
"""How often each (user, "verb resource") was asked."""


def policy(users: Iterable[str]) -> dict[str, Any]:
    """An audit policy that logs each finished request of these users, and nothing else."""
    return {
        "apiVersion": "audit.k8s.io/v1",
        "kind": "Policy",
        "omitStages": ["RequestReceived", "ResponseStarted", "Panic"],
        "rules": [{"level": "Metadata", "users": sorted(users)}, {"level": "None"}],
    }


def read(path: Path, offset: int = 0) -> tuple[Calls, int]:
    """The calls after an offset of the log, and the offset to go on from."""
    with path.open("rb") as log:
        log.seek(offset)
        data = log.read()
    end = data.rfind(b"\n") + 1
    return count(data[:end].decode().splitlines()), offset + end


def count(lines: Iterable[str]) -> Calls:
    """Count the calls of an audit log."""
    return Counter((event["user"]["username"], _what(event)) for event in map(json.loads, lines))


def of(calls: Calls, user: str) -> dict[str, int]:
    """One user's calls, most frequent first."""
    return {what: number for (name, what), number in calls.most_common() if name == user}


def _what(event: Mapping[str, Any]) -> str:
    target = event.get("objectRef")
    if target is None or "resource" not in target:
        return f"{event['verb']} {event['requestURI'].partition('?')[0]}"
    sub = f"/{target['subresource']}" if "subresource" in target else ""
    return f"{event['verb']} {target['resource']}{sub}"
