"""What the operator must be allowed to do, as data, and the question to the API server whether it is.

`REQUIRED` is compared with the chart's roles by a test; `missing` is asked by `service` at the start, because kopf and
watches meet a missing permission with endless silence.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from pydantic.alias_generators import to_camel

from treering_api import GROUP, KIND, Spec, Status, TreeringError
from treering_operator.cluster.api import Api
from treering_operator.cluster.errors import ForbiddenError, NotFoundError
from treering_operator.cluster.places import ACCESS_REVIEWS, LINES
from treering_operator.settings import Settings


@dataclass(frozen=True)
class Permission:
    """Verbs on one kind of objects. `lease` ones are needed in the Lease's namespace alone."""

    group: str
    resource: str
    verbs: tuple[str, ...]
    lease: bool = False


REQUIRED: tuple[Permission, ...] = (
    Permission(GROUP, "incrementaltrains", ("get", "list", "watch")),
    Permission(GROUP, "incrementaltrains/status", ("patch",)),
    Permission("batch", "jobs", ("get", "list", "watch", "create", "patch", "delete")),
    Permission("", "pods", ("list", "watch")),
    Permission("", "configmaps", ("get", "create")),
    Permission("", "services", ("get", "create")),
    Permission("", "events", ("create",)),
    Permission("networking.k8s.io", "networkpolicies", ("create", "patch")),
    Permission("coordination.k8s.io", "leases", ("get", "create", "update"), lease=True),
)
"""Everything that the operator ever does. Server-side apply is `patch`, and `create` where the object is not there."""


_SCHEMA_TRIES = 10


class NotAllowedError(TreeringError):
    """The operator's account lacks permissions."""


class NoResourceError(TreeringError):
    """The API server does not know the resource."""


async def check(api: Api, settings: Settings) -> None:
    """Make sure that the operator can work here.

    Raises:
        NoResourceError: the CRD is not there, or older than the operator.
        NotAllowedError: permissions are missing; names them all.
    """
    if LINES.plural not in await _known(api):
        raise NoResourceError(
            f"{LINES.plural}.{GROUP}",
            f"the API server does not know this resource in version {LINES.version}",
            "Install the CRD first: the chart does with crds.enabled, or `kubectl apply --server-side -f crds/`",
        )
    await _check_age(api)
    lacking = await missing(api, settings)
    if lacking:
        raise NotAllowedError(
            "the operator's permissions",
            f"missing: {'; '.join(lacking)}",
            "Bind the chart's ClusterRole (or Role in each namespace) to the operator's service account",
        )


async def _check_age(api: Api) -> None:
    """An older CRD would refuse every status: Helm leaves CRDs alone where `crds.enabled` is off."""
    lacking = await _unknown_fields(api)
    for _ in range(_SCHEMA_TRIES):  # a schema is published some seconds after its CRD
        if not lacking:
            return
        await asyncio.sleep(1.0)
        lacking = await _unknown_fields(api)
    raise NoResourceError(
        f"{LINES.plural}.{GROUP}",
        f"the cluster's CRD is older than the operator: it lacks {', '.join(lacking)}",
        "Upgrade the CRD to the operator's release: with crds.enabled, or `kubectl apply --server-side -f crds/`",
    )


async def _unknown_fields(api: Api) -> list[str]:
    try:
        known = (await api.schema(LINES, KIND)).get("properties", {})
    except (NotFoundError, ForbiddenError):
        return []
    return [
        f"{part}.{to_camel(name)}"
        for part, model in (("spec", Spec), ("status", Status))
        for name in model.model_fields
        if to_camel(name) not in known.get(part, {}).get("properties", {})
    ]


async def missing(api: Api, settings: Settings) -> list[str]:
    """What is not allowed, in words, one for each permission and namespace."""
    asked = [
        (permission, verb, namespace)
        for permission in REQUIRED
        if settings.leader_election or not permission.lease
        if settings.network_policy or permission.resource != "networkpolicies"
        for namespace in ((settings.lease_namespace,) if permission.lease else settings.namespaces or ("",))
        for verb in permission.verbs
    ]
    allowed = await asyncio.gather(*(_is_allowed(api, *one) for one in asked))
    lacking: dict[tuple[str, str], list[str]] = {}
    for (permission, verb, namespace), yes in zip(asked, allowed, strict=True):
        if not yes:
            name = f"{permission.resource}.{permission.group}" if permission.group else permission.resource
            lacking.setdefault((name, namespace), []).append(verb)
    return [
        f"{', '.join(verbs)} {name} {f'in namespace {namespace}' if namespace else 'in all namespaces'}"
        for (name, namespace), verbs in lacking.items()
    ]


async def _known(api: Api) -> frozenset[str]:
    try:
        return await api.resources(LINES)
    except NotFoundError:
        return frozenset()


async def _is_allowed(api: Api, permission: Permission, verb: str, namespace: str) -> bool:
    resource, _, subresource = permission.resource.partition("/")
    attributes = {
        "group": permission.group,
        "resource": resource,
        "subresource": subresource,
        "verb": verb,
        "namespace": namespace,
    }
    body = {
        "apiVersion": ACCESS_REVIEWS.api_version,
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": {name: value for name, value in attributes.items() if value}},
    }
    answer = await api.create(ACCESS_REVIEWS, "", body)
    return bool(answer["status"].get("allowed"))
