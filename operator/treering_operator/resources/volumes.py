"""The volumes of a pod and where they appear: plan, scratch, shared memory, cache, certificates, and the user's own."""

from __future__ import annotations

import posixpath
from typing import Any

from treering_api import BadSpecError, Volume
from treering_operator.resources.work import Work

PLAN_KEY = "plan.json"
PLAN_PATH = f"/etc/treering/plan/{PLAN_KEY}"
CACHE_PATH = "/var/cache/treering"
_OWN_PREFIX = "treering-"
_AUTHORITY_PATH = "/etc/treering/ca"
_AUTHORITY_FILE = "ca.crt"
_TAKEN = ("/etc/treering", CACHE_PATH, "/dev", "/proc", "/sys", "/tmp")


def volumes(work: Work) -> list[dict[str, Any]]:
    """The pod's `volumes`.

    Raises:
        BadSpecError: a user's volume has a name or a place that is ours, or one that is taken twice.
    """
    _check(work.spec.compute.volumes)
    own: list[dict[str, Any]] = [
        {"name": "treering-plan", "configMap": {"name": work.name}},
        {"name": "treering-tmp", "emptyDir": {}},
        {"name": "treering-cache"} | _cache(work),
    ]
    if work.is_round:
        shared = {"medium": "Memory", "sizeLimit": work.spec.compute.shared_memory}
        own.append({"name": "treering-shm", "emptyDir": shared})
    if work.spec.store.certificate_authority:
        own.append({"name": "treering-ca"} | _authority(work))
    return own + [{"name": volume.name} | _source(volume) for volume in work.spec.compute.volumes]


def mounts(work: Work) -> list[dict[str, Any]]:
    """The container's `volumeMounts`."""
    own: list[dict[str, Any]] = [
        {"name": "treering-plan", "mountPath": posixpath.dirname(PLAN_PATH), "readOnly": True},
        {"name": "treering-tmp", "mountPath": "/tmp"},
        {"name": "treering-cache", "mountPath": CACHE_PATH},
    ]
    if work.is_round:
        own.append({"name": "treering-shm", "mountPath": "/dev/shm"})
    if work.spec.store.certificate_authority:
        own.append({"name": "treering-ca", "mountPath": _AUTHORITY_PATH, "readOnly": True})
    return own + [
        {"name": volume.name, "mountPath": volume.mount_path, "readOnly": volume.read_only}
        for volume in work.spec.compute.volumes
    ]


def certificate_file(work: Work) -> str:
    """Where the store's certificate authority is in the pod; empty: the system's is used."""
    return f"{_AUTHORITY_PATH}/{_AUTHORITY_FILE}" if work.spec.store.certificate_authority else ""


def _cache(work: Work) -> dict[str, Any]:
    """Only rounds pull images; a look that took the claim, too, could keep a round from another node waiting."""
    cache = work.spec.compute.cache_volume
    if work.is_round and cache.claim:
        return {"persistentVolumeClaim": {"claimName": cache.claim}}
    limit = {"sizeLimit": cache.size_limit} if work.is_round and cache.size_limit else {}
    return {"emptyDir": limit}


def _authority(work: Work) -> dict[str, Any]:
    authority = work.spec.store.certificate_authority
    assert authority is not None
    items = [{"key": authority.key, "path": _AUTHORITY_FILE}]
    if authority.secret:
        return {"secret": {"secretName": authority.secret, "items": items}}
    return {"configMap": {"name": authority.config_map, "items": items}}


def _source(volume: Volume) -> dict[str, Any]:
    if volume.claim:
        return {"persistentVolumeClaim": {"claimName": volume.claim}}
    if volume.secret:
        return {"secret": {"secretName": volume.secret}}
    return {"configMap": {"name": volume.config_map}}


def _check(given: tuple[Volume, ...]) -> None:
    seen: dict[str, int] = {}
    for place, volume in enumerate(given):
        where = f"spec.compute.volumes[{place}]"
        if volume.name.startswith(_OWN_PREFIX):
            mend = f"Take a name that does not begin with {_OWN_PREFIX}"
            raise BadSpecError(f"{where}.name", f"{volume.name} is a name of the operator's", mend)
        path = posixpath.normpath("/" + volume.mount_path.lstrip("/"))
        taken = next((own for own in _TAKEN if _overlap(path, own)), None)
        if taken:
            mend = f"Take a folder of your own, such as /data; {', '.join(_TAKEN)} are taken"
            raise BadSpecError(f"{where}.mountPath", f"{volume.mount_path} clashes with {taken}", mend)
        if path in seen:
            found = f"{volume.mount_path} is the place of volume {given[seen[path]].name}, too"
            raise BadSpecError(f"{where}.mountPath", found, "Give every volume a place of its own")
        seen[path] = place


def _overlap(path: str, taken: str) -> bool:
    """Whether one lies in the other: a mount in the middle would hide what is there."""
    one, other = path.rstrip("/") + "/", taken + "/"
    return one.startswith(other) or other.startswith(one)
