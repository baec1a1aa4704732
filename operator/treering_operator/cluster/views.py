"""From the API server's objects to the slim views that decisions are made from. Pure; used by the caches.

A pod or Job as JSON takes some 20 KB of memory, its view one: thousands of them are kept.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Literal, cast

from treering_operator.cluster.api import JSON
from treering_operator.observed import JobView, Kind, PodView, Termination
from treering_operator.resources.names import (
    DIGEST_ANNOTATION,
    DISCOVERED_ANNOTATION,
    GPUS_ANNOTATION,
    INCREMENTS_ANNOTATION,
    KIND_LABEL,
    LINE_LABEL,
    NUMBER_LABEL,
    QUEUE_LABEL,
    STORE_ANNOTATION,
)

_KINDS = ("round", "rollback", "discovery")
_CONTAINER = "trainer"
_INDEX = "batch.kubernetes.io/job-completion-index"
_DEADLINE = "DeadlineExceeded"  # told of the pod, while its container just says that it was killed
_STARTING = frozenset({"ContainerCreating", "PodInitializing", ""})


def job_view(raw: JSON) -> JobView | None:
    """The view of a Job, None where it is none of ours."""
    metadata, spec, status = raw["metadata"], raw["spec"], raw.get("status", {})
    labels, annotations = metadata.get("labels", {}), metadata.get("annotations", {})
    kind, number = labels.get(KIND_LABEL), labels.get(NUMBER_LABEL, "")
    if kind not in _KINDS or not number.isdecimal():
        return None
    ended = _condition(status.get("conditions", ()), ("Complete", "Failed"))
    return JobView(
        name=metadata["name"],
        namespace=sys.intern(metadata["namespace"]),
        uid=metadata["uid"],
        line=sys.intern(labels[LINE_LABEL]),
        line_uid=_controller(metadata),
        kind=cast("Kind", kind),
        number=int(number),
        digest=annotations.get(DIGEST_ANNOTATION, ""),
        increments=tuple(name for name in annotations.get(INCREMENTS_ANNOTATION, "").split(",") if name),
        suspended=bool(spec.get("suspend")),
        queue=labels.get(QUEUE_LABEL, ""),
        nodes=spec.get("completions") or 1,
        gpus=_number(annotations.get(GPUS_ANNOTATION, "")),
        active=status.get("active", 0),
        failed=status.get("failed", 0),
        outcome=cast("Literal['', 'Complete', 'Failed']", ended.get("type", "")),
        reason=ended.get("reason", ""),
        message=ended.get("message", ""),
        deleting="deletionTimestamp" in metadata,
        created=_time(metadata["creationTimestamp"]),
        started=_maybe_time(status.get("startTime")),
        finished=_maybe_time(ended.get("lastTransitionTime")),
        discovered=annotations.get(DISCOVERED_ANNOTATION) == "true",
        store=sys.intern(annotations.get(STORE_ANNOTATION, "")),
    )


def pod_view(raw: JSON) -> PodView | None:
    """The view of a pod, None where no Job controls it."""
    metadata, status = raw["metadata"], raw.get("status", {})
    labels = metadata.get("labels", {})
    job = labels.get("batch.kubernetes.io/job-name", "")
    if not job:
        return None
    conditions = status.get("conditions", ())
    container: Mapping[str, Any] = next(
        (one for one in status.get("containerStatuses", ()) if one["name"] == _CONTAINER), {}
    )
    state = container.get("state", {})
    return PodView(
        name=metadata["name"],
        namespace=sys.intern(metadata["namespace"]),
        uid=metadata["uid"],
        line=sys.intern(labels[LINE_LABEL]),
        job=job,
        job_uid=_controller(metadata),
        index=_number(metadata.get("annotations", {}).get(_INDEX, "")),
        phase=sys.intern(status.get("phase", "Pending")),
        ip=status.get("podIP", ""),
        running="running" in state,
        deleting="deletionTimestamp" in metadata,
        disrupted=bool(_condition(conditions, ("DisruptionTarget",))),
        created=_time(metadata["creationTimestamp"]),
        started=_maybe_time(_started(state)),
        trouble=_trouble(conditions, status, state),
        termination=_termination(status, state),
    )


def _controller(metadata: Mapping[str, Any]) -> str:
    return next((str(owner["uid"]) for owner in metadata.get("ownerReferences", ()) if owner.get("controller")), "")


def _condition(conditions: Iterable[Mapping[str, Any]], types: tuple[str, ...]) -> Mapping[str, Any]:
    return next((one for one in conditions if one["type"] in types and one["status"] == "True"), {})


def _number(text: str) -> int:
    return int(text) if text.isdecimal() else 0


def _started(state: Mapping[str, Any]) -> str | None:
    started = state.get("running", state.get("terminated", {})).get("startedAt")
    return cast("str | None", started)


def _trouble(
    conditions: Iterable[Mapping[str, Any]], status: Mapping[str, Any], state: Mapping[str, Any]
) -> tuple[str, str] | None:
    waiting = state.get("waiting", {})
    if waiting.get("reason", "") not in _STARTING:
        return sys.intern(waiting["reason"]), waiting.get("message", "")
    if status.get("phase") != "Pending":
        return None
    place = next((one for one in conditions if one["type"] == "PodScheduled" and one["status"] == "False"), None)
    if place is None:
        return None
    return sys.intern(place.get("reason", "Unschedulable")), place.get("message", "")


def _termination(status: Mapping[str, Any], state: Mapping[str, Any]) -> Termination | None:
    ended = state.get("terminated")
    if ended is not None:
        return Termination(
            exit_code=ended["exitCode"],
            reason=sys.intern(_DEADLINE if status.get("reason") == _DEADLINE else ended.get("reason", "")),
            message=ended.get("message", ""),
            finished=_maybe_time(ended.get("finishedAt")),
        )
    if status.get("phase") == "Failed":  # evicted or lost with its node before its container said anything
        return Termination(137, sys.intern(status.get("reason", "")), status.get("message", ""), None)
    return None


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def _maybe_time(text: str | None) -> datetime | None:
    return _time(text) if text else None
