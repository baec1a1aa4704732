"""The headless Service that the pods of one round meet under; only where a round has several nodes."""

from __future__ import annotations

from typing import Any

from treering_operator.resources.environment import RENDEZVOUS_PORT
from treering_operator.resources.labels import work_labels
from treering_operator.resources.work import Work


def service(work: Work, job_uid: str) -> dict[str, Any] | None:
    """The Service, None for a single node. Addresses are published before a pod is ready: they meet to become ready."""
    if work.nodes == 1:
        return None
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": work.subdomain,
            "namespace": work.namespace,
            "labels": work_labels(work),
            "ownerReferences": [work.job_owner(job_uid)],
        },
        "spec": {
            "clusterIP": "None",
            "publishNotReadyAddresses": True,
            "selector": {"batch.kubernetes.io/job-name": work.name},
            "ports": [{"name": "rendezvous", "port": RENDEZVOUS_PORT, "protocol": "TCP"}],
        },
    }
