"""Plays the scheduler and the kubelet in a cluster without nodes: says of pods what a real kubelet would say.

A pod is bound to a Node object that nobody runs, so that it goes through the same states: pending, running with an
address, ended with exit code and termination message, deleted only when its kubelet lets go of it.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from tests.plugins.api_server import ApiServer, Refusal

WAIT_S = 30.0


@dataclass(frozen=True)
class Kubelet:
    """The kubelet of one played node, for the pods of one namespace."""

    server: ApiServer
    namespace: str
    node: str = "played-node"

    def pods(self, selector: str = "") -> list[dict[str, Any]]:
        """Pods that match the label selector, oldest first."""
        found = self.server.request("GET", f"{self._path}?labelSelector={quote(selector)}")["items"]
        return sorted(found, key=lambda pod: (pod["metadata"]["creationTimestamp"], pod["metadata"]["name"]))

    def await_pod(self, job: str, timeout_s: float = WAIT_S, *, but: tuple[str, ...] = ()) -> str:
        """Name of a living pod of the Job that is none of `but`, as soon as there is one."""
        end_s = time.monotonic() + timeout_s
        while time.monotonic() < end_s:
            for pod in self.pods(f"batch.kubernetes.io/job-name={job}"):
                name = str(pod["metadata"]["name"])
                living = pod["status"].get("phase", "Pending") in ("Pending", "Running")
                if living and name not in but and "deletionTimestamp" not in pod["metadata"]:
                    return name
            time.sleep(0.05)
        raise AssertionError(f"no pod of Job {job} in {self.namespace} within {timeout_s:g} s")

    def unschedulable(self, pod: str, message: str = "0/1 nodes are available: 1 Insufficient nvidia.com/gpu.") -> None:
        """The scheduler finds no node for it."""
        self._patch(
            pod, {"phase": "Pending", "conditions": [condition("PodScheduled", "False", "Unschedulable", message)]}
        )

    def running(self, pod: str, ip: str = "127.0.0.1") -> None:
        """It is bound and runs at this address."""
        self._bind(pod)
        status = {
            "phase": "Running",
            "startTime": now(),
            "podIP": ip,
            "podIPs": [{"ip": ip}],
            "conditions": [condition(kind) for kind in ("PodScheduled", "Initialized", "ContainersReady", "Ready")],
        }
        self._patch(pod, status | self._containers(pod, {"running": {"startedAt": now()}}, ready=True))

    def waiting(self, pod: str, reason: str = "ImagePullBackOff", message: str = "") -> None:
        """It is bound, and its container can't start."""
        self._bind(pod)
        waiting = {"waiting": {"reason": reason, "message": message}}
        self._patch(pod, {"phase": "Pending", **self._containers(pod, waiting, ready=False)})

    def ended(self, pod: str, exit_code: int, message: str = "", *, reason: str = "") -> None:
        """Its container ended; a pod that was being deleted is let go."""
        self._bind(pod)
        terminated = {
            "exitCode": exit_code,
            "reason": reason or ("Completed" if exit_code == 0 else "Error"),
            "message": message,
            "startedAt": now(),
            "finishedAt": now(),
        }
        phase = "Succeeded" if exit_code == 0 else "Failed"
        self._patch(pod, {"phase": phase, **self._containers(pod, {"terminated": terminated}, ready=False)})
        if "deletionTimestamp" in self._get(pod)["metadata"]:
            self.gone(pod)

    def disrupted(self, pod: str, reason: str = "EvictionByEvictionAPI") -> None:
        """Somebody wants it gone (a drain, a preemption): the condition comes first, then the deletion."""
        self._patch(pod, {"conditions": [condition("DisruptionTarget", "True", reason, "the node is drained")]})
        self.server.request("DELETE", f"{self._path}/{pod}")

    def gone(self, pod: str) -> None:
        """The kubelet lets go of it for good."""
        self.server.request(
            "DELETE", f"{self._path}/{pod}", {"gracePeriodSeconds": 0, "propagationPolicy": "Background"}
        )

    @property
    def _path(self) -> str:
        return f"/api/v1/namespaces/{self.namespace}/pods"

    def _get(self, pod: str) -> dict[str, Any]:
        found: dict[str, Any] = self.server.request("GET", f"{self._path}/{pod}")
        return found

    def _patch(self, pod: str, status: Mapping[str, object]) -> None:
        self.server.request("PATCH", f"{self._path}/{pod}/status", {"status": dict(status)}, patch="strategic")

    def _bind(self, pod: str) -> None:
        if self._get(pod)["spec"].get("nodeName"):
            return
        self._make_node()
        target = {"apiVersion": "v1", "kind": "Node", "name": self.node}
        binding = {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": pod}, "target": target}
        self.server.request("POST", f"{self._path}/{pod}/binding", binding)

    def _make_node(self) -> None:
        try:
            self.server.request("POST", "/api/v1/nodes", {"metadata": {"name": self.node}})
        except Refusal as refusal:
            if refusal.code != 409:
                raise

    def _containers(self, pod: str, state: Mapping[str, object], *, ready: bool) -> dict[str, object]:
        containers = self._get(pod)["spec"]["containers"]
        common = {"restartCount": 0, "imageID": "", "ready": ready, "started": ready, "state": dict(state)}
        return {"containerStatuses": [{"name": each["name"], "image": each["image"], **common} for each in containers]}


def condition(kind: str, status: str = "True", reason: str = "", message: str = "") -> dict[str, str]:
    """A pod's condition."""
    return {"type": kind, "status": status, "reason": reason, "message": message, "lastTransitionTime": now()}


def now() -> str:
    """This moment as Kubernetes writes it."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
