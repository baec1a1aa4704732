"""A Kubernetes Event about a line: what a person wants to know, told once."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from treering_api import API_VERSION, KIND
from treering_operator.actions import Notice

MAX_MESSAGE_LENGTH = 1024
"""What Kubernetes keeps of an Event's text."""
_COMPONENT = "treering-operator"


def event(resource: Mapping[str, Any], notice: Notice, now: datetime, identity: str) -> dict[str, Any]:
    """A core `v1` Event. Its name follows from the notice's key: told twice, it exists already.

    Args:
        resource: the line.
        notice: what to tell.
        now: when it happened.
        identity: which replica tells it.
    """
    metadata = resource["metadata"]
    key = hashlib.sha256(f"{metadata['uid']}\n{notice.key}".encode()).hexdigest()[:16]
    moment = now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": f"{metadata['name']}.{key}", "namespace": metadata["namespace"]},
        "type": "Warning" if notice.warning else "Normal",
        "reason": notice.reason,
        "message": _shortened(notice.message),
        "involvedObject": {
            "apiVersion": API_VERSION,
            "kind": KIND,
            "name": metadata["name"],
            "namespace": metadata["namespace"],
            "uid": metadata["uid"],
        },
        "source": {"component": _COMPONENT},
        "reportingComponent": _COMPONENT,
        "reportingInstance": identity,
        "firstTimestamp": moment,
        "lastTimestamp": moment,
        "count": 1,
    }


def _shortened(text: str) -> str:
    """At most as many bytes as are kept: they are counted, not characters."""
    raw = text.encode()
    if len(raw) <= MAX_MESSAGE_LENGTH:
        return text
    return raw[: MAX_MESSAGE_LENGTH - len("…".encode())].decode(errors="ignore") + "…"
