"""Whom the pods of a line may reach (names, the store, each other), and who may ask them for progress and metrics."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from treering_api import BadSpecError
from treering_operator.resources.labels import line_labels
from treering_operator.resources.names import LINE_LABEL
from treering_operator.resources.pod import PROGRESS_PORT
from treering_operator.resources.work import Work

_DNS_PORT = 53
_SCHEME_PORTS = {"http": 80, "https": 443}
_IDENTITY_SERVERS = (("169.254.170.23/32", 80), ("169.254.169.254/32", 80), ("169.254.169.252/32", 988))
"""Where a cloud hands a service account's role to a pod: EKS Pod Identity, and GKE's metadata server (two ports)."""


def network_policy(work: Work) -> dict[str, Any]:
    """One policy for all pods of the line, owned by the line; for server-side apply.

    Raises:
        BadSpecError: the store's endpoint is no address.
    """
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {
            "name": f"{work.line}-rounds",
            "namespace": work.namespace,
            "labels": line_labels(work),
            "ownerReferences": [work.line_owner()],
        },
        "spec": {
            "podSelector": _own_pods(work),
            "policyTypes": ["Ingress", "Egress"],
            "ingress": [
                {"from": [{"namespaceSelector": _peers(work)}], "ports": [_tcp(PROGRESS_PORT)]},
                {"from": [{"podSelector": _own_pods(work)}]},
            ],
            "egress": [
                {"ports": [{"port": _DNS_PORT, "protocol": "UDP"}, _tcp(_DNS_PORT)]},
                {"ports": [_tcp(port) for port in _store_ports(work)]},
                {"to": [{"podSelector": _own_pods(work)}]},
                *_identity(work),
            ],
        },
    }


def _own_pods(work: Work) -> dict[str, Any]:
    return {"matchLabels": {LINE_LABEL: work.line}}


def _peers(work: Work) -> dict[str, Any]:
    """The namespaces that may ask for progress and metrics; no labels: every one."""
    labels = dict(work.settings.network_peers)
    return {"matchLabels": labels} if labels else {}


def _store_ports(work: Work) -> list[int]:
    ports = set(work.settings.store_ports)
    if work.spec.store.endpoint:
        ports.add(_port(work.spec.store.endpoint))
    return sorted(ports)


def _port(endpoint: str) -> int:
    try:
        address = urlsplit(endpoint)
        return address.port or _SCHEME_PORTS[address.scheme]
    except ValueError:
        mend = "Write http://host:port or https://host:port, an IPv6 address in brackets, a port up to 65535"
        raise BadSpecError("spec.store.endpoint", f"{endpoint!r} is no address", mend) from None


def _identity(work: Work) -> list[dict[str, Any]]:
    if not work.spec.store.service_account:
        return []
    return [{"to": [{"ipBlock": {"cidr": cidr}}], "ports": [_tcp(port)]} for cidr, port in _IDENTITY_SERVERS]


def _tcp(port: int) -> dict[str, Any]:
    return {"port": port, "protocol": "TCP"}
