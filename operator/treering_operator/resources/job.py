"""The Job of one round, rollback or look."""

from __future__ import annotations

from typing import Any

from treering_api import ExitCode, seconds
from treering_operator.resources.labels import work_annotations, work_labels
from treering_operator.resources.names import QUEUE_LABEL
from treering_operator.resources.pod import CONTAINER, pod_template
from treering_operator.resources.work import Work

_FINAL = (ExitCode.BAD_SPEC, ExitCode.BAD_DATA, ExitCode.REJECTED, ExitCode.OUTDATED)
"""Another attempt at the same plan would end the same."""
_LOOK_STAYS_S = 3600
_TO_BE_READ_S = 300
"""A Job must not vanish before its result was read, however short its ttl is."""


def job(work: Work) -> dict[str, Any]:
    """A `batch/v1` Job, owned by the line.

    Always Indexed, so that one node and many look the same. Its pods are replaced only after the old one is gone: two
    attempts never share a work folder.
    """
    labels = work_labels(work)
    if work.queue:
        labels[QUEUE_LABEL] = work.queue
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": work.name,
            "namespace": work.namespace,
            "labels": labels,
            "annotations": work_annotations(work),
            "ownerReferences": [work.line_owner()],
        },
        "spec": {
            "backoffLimit": work.spec.retries * work.nodes,
            "completionMode": "Indexed",
            "completions": work.nodes,
            "parallelism": work.nodes,
            "podFailurePolicy": {"rules": _failure_rules()},
            "podReplacementPolicy": "Failed",
            "suspend": bool(work.queue) or work.spec.suspend,  # with a queue, Kueue lets it go
            "template": pod_template(work),
        }
        | _time_to_live(work),
    }


def _failure_rules() -> list[dict[str, Any]]:
    """The first rule that fits counts: a verdict is final even on a node that is being drained."""
    return [
        {
            "action": "FailJob",
            "onExitCodes": {
                "containerName": CONTAINER,
                "operator": "In",
                "values": sorted(int(code) for code in _FINAL),
            },
        },
        {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
    ]


def _time_to_live(work: Work) -> dict[str, int]:
    given = max(_TO_BE_READ_S, seconds(work.spec.ttl)) if work.spec.ttl else None
    if work.kind == "discovery":
        given = min(given or _LOOK_STAYS_S, _LOOK_STAYS_S)  # one every few minutes: nobody wants to see them all
    return {} if given is None else {"ttlSecondsAfterFinished": given}
