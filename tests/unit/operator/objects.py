"""Objects as the API server has them, for tests of caches and views."""

from __future__ import annotations

from typing import Any


def line(name: str = "cards", version: int = 1, uid: str = "", **status: Any) -> dict[str, Any]:
    return {
        "apiVersion": "treering.dev/v1alpha1",
        "kind": "IncrementalTrain",
        "metadata": {
            "name": name,
            "namespace": "default",
            "uid": uid or f"uid-{name}",
            "resourceVersion": str(version),
            "managedFields": [{"manager": "somebody"}],
            "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "{}", "treering.dev/retry": "1"},
        },
        "spec": {},
        "status": status,
    }


def job(name: str = "cards-r1-0", version: int = 1, line: str = "cards", **status: Any) -> dict[str, Any]:
    return {
        "metadata": {
            "name": name,
            "namespace": "default",
            "uid": f"uid-{name}",
            "resourceVersion": str(version),
            "creationTimestamp": "2026-11-24T10:00:00Z",
            "labels": {"treering.dev/line": line, "treering.dev/kind": "round", "treering.dev/number": "1"},
            "annotations": {"treering.dev/digest": "abc", "treering.dev/increments": "a,b", "treering.dev/gpus": "2"},
            "ownerReferences": [{"uid": f"uid-{line}", "controller": True}],
        },
        "spec": {
            "completions": 2,
            "template": {
                "spec": {"containers": [{"resources": {"limits": {"nvidia.com/gpu": "2", "memory": "8Gi", "cpu": 4}}}]}
            },
        },
        "status": status,
    }


def pod(name: str = "pod", version: int = 1, phase: str = "Running", **status: Any) -> dict[str, Any]:
    return {
        "metadata": {
            "name": name,
            "namespace": "default",
            "uid": f"uid-{name}",
            "resourceVersion": str(version),
            "creationTimestamp": "2026-11-24T10:00:00Z",
            "labels": {"treering.dev/line": "cards", "batch.kubernetes.io/job-name": "cards-r1-0"},
            "annotations": {"batch.kubernetes.io/job-completion-index": "1"},
            "ownerReferences": [{"uid": "uid-cards-r1-0", "controller": True}],
        },
        "spec": {},
        "status": {"phase": phase, **status},
    }


def container(**state: Any) -> dict[str, Any]:
    return {"containerStatuses": [{"name": "trainer", "state": state}]}
