"""The body of the one write to a line's status: server-side apply, refused if the line changed meanwhile."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from treering_api import API_VERSION, KIND, Status


def status_body(resource: Mapping[str, Any], status: Status) -> dict[str, Any]:
    """What to apply to `/status`. Fields left out of it are removed: the operator owns the whole status."""
    metadata = resource["metadata"]
    return {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "metadata": {
            "name": metadata["name"],
            "namespace": metadata["namespace"],
            "resourceVersion": metadata["resourceVersion"],
        },
        "status": status_data(status),
    }


def status_data(status: Status) -> dict[str, Any]:
    """A status as the API server has it; absent fields are left out, it knows no null."""
    data: dict[str, Any] = status.model_dump(mode="json", by_alias=True, exclude_none=True)
    return data
