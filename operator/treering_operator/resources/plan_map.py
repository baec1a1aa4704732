"""The ConfigMap that a pod reads its plan from: made after the Job, which owns it, and gone with it."""

from __future__ import annotations

from typing import Any

from treering_operator.resources.labels import work_labels
from treering_operator.resources.volumes import PLAN_KEY
from treering_operator.resources.work import Work


def plan_map(work: Work, job_uid: str) -> dict[str, Any]:
    """An immutable ConfigMap named like the Job; the pod waits for it."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": work.name,
            "namespace": work.namespace,
            "labels": work_labels(work),
            "ownerReferences": [work.job_owner(job_uid)],
        },
        "immutable": True,
        "data": {PLAN_KEY: work.plan_json},
    }
