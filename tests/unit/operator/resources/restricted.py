"""Kubernetes' restricted pod security profile as a check of ours, written after its documentation, field by field."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

VOLUME_SOURCES = {
    "configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret",
}  # fmt: skip
FORBIDDEN_IN_POD = ("hostNetwork", "hostPID", "hostIPC", "hostUsers")
FORBIDDEN_IN_CONTAINER = ("privileged", "procMount", "seLinuxOptions", "windowsOptions", "appArmorProfile")


def violations(pod: dict[str, Any]) -> list[str]:
    """What the profile forbids and a pod's spec has, in words; empty: it passes."""
    return [*_of_pod(pod), *(found for container in _containers(pod) for found in _of_container(pod, container))]


def _containers(pod: dict[str, Any]) -> list[dict[str, Any]]:
    lists = ("initContainers", "containers", "ephemeralContainers")
    return [container for name in lists for container in pod.get(name, [])]


def _of_pod(pod: dict[str, Any]) -> Iterator[str]:
    yield from (f"{name} is set" for name in FORBIDDEN_IN_POD if pod.get(name))
    context = pod.get("securityContext", {})
    yield from (f"pod has {name}" for name in ("sysctls", "seLinuxOptions", "windowsOptions") if context.get(name))
    for volume in pod.get("volumes", []):
        sources = set(volume) - {"name"}
        if len(sources) != 1 or not sources <= VOLUME_SOURCES:
            yield f"volume {volume['name']} comes from {sorted(sources)}"


def _of_container(pod: dict[str, Any], container: dict[str, Any]) -> Iterator[str]:
    outer, own = pod.get("securityContext", {}), container.get("securityContext", {})
    name = container["name"]
    yield from (f"{name} has {field}" for field in FORBIDDEN_IN_CONTAINER if own.get(field))
    if own.get("allowPrivilegeEscalation") is not False:
        yield f"{name} may escalate"
    if own.get("capabilities", {}).get("drop") != ["ALL"] or own["capabilities"].get("add"):
        yield f"{name} keeps capabilities"
    if own.get("runAsNonRoot", outer.get("runAsNonRoot")) is not True:
        yield f"{name} may run as root"
    if own.get("runAsUser", outer.get("runAsUser")) == 0:
        yield f"{name} runs as root"
    profile = own.get("seccompProfile", outer.get("seccompProfile", {}))
    if profile.get("type") not in {"RuntimeDefault", "Localhost"}:
        yield f"{name} has no seccomp profile"
    if any(port.get("hostPort") for port in container.get("ports", [])):
        yield f"{name} takes a port of the host"
