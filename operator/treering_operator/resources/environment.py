"""The environment of a pod: ours, the credentials, and the user's further variables."""

from __future__ import annotations

from typing import Any

from treering_api import BadSpecError, EnvironmentVariable
from treering_operator.resources.work import Work

RENDEZVOUS_PORT = 29500
NODE_RANK = "TREERING_NODE_RANK"
_FOLDERS = {"HOME": "/tmp", "MPLCONFIGDIR": "/tmp/matplotlib", "YOLO_CONFIG_DIR": "/tmp/ultralytics"}
"""The only places in the pod where a library may leave its own files."""
_OWN_PREFIX = "TREERING_"
_INDEX = "JOB_COMPLETION_INDEX"


def environment(work: Work) -> list[dict[str, Any]]:
    """The container's `env`: ours first, so that a user's value may refer to it.

    Raises:
        BadSpecError: a user's variable has a name that is ours.
    """
    own: list[dict[str, Any]] = [{"name": name, "value": value} for name, value in _FOLDERS.items()]
    if work.nodes > 1:
        own += _nodes(work)
    return own + [_variable(item, place) for place, item in enumerate(work.spec.compute.env)]


def environment_from(work: Work) -> list[dict[str, Any]]:
    """The container's `envFrom`: the store's credentials, which the operator never reads."""
    secret = work.spec.store.credentials_secret
    return [{"secretRef": {"name": secret}}] if secret else []


def _nodes(work: Work) -> list[dict[str, Any]]:
    """Where several nodes meet, and which of them this one is."""
    index = {"fieldRef": {"fieldPath": "metadata.annotations['batch.kubernetes.io/job-completion-index']"}}
    return [
        {"name": "TREERING_NODES", "value": str(work.nodes)},
        {"name": NODE_RANK, "valueFrom": index},
        {"name": "TREERING_RENDEZVOUS", "value": f"{work.name}-0.{work.subdomain}:{RENDEZVOUS_PORT}"},
    ]


def _variable(item: EnvironmentVariable, place: int) -> dict[str, Any]:
    if item.name in _FOLDERS or item.name == _INDEX or item.name.startswith(_OWN_PREFIX):
        raise BadSpecError(
            f"spec.compute.env[{place}].name",
            f"{item.name} is set by the operator",
            f"Take another name; {', '.join(_FOLDERS)}, {_INDEX} and {_OWN_PREFIX}* are taken",
        )
    if item.value is not None:
        return {"name": item.name, "value": item.value}
    source, name = ("secretKeyRef", item.secret) if item.secret else ("configMapKeyRef", item.config_map)
    return {"name": item.name, "valueFrom": {source: {"name": name, "key": item.key or item.name}}}
