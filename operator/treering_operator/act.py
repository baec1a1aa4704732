"""Doing: carries out a decision's actions and tells its notices. Every write may be repeated or lost.

Called by `reconcile`. What is already there and ours is adopted; what is there and is not, or still goes away, is
`NotYetError`: the line is looked at again soon. Answers feed the caches, so that the next look sees what was done.
"""

from __future__ import annotations

import json
import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from treering_operator.actions import Action, DeleteJob, EnsureJob, Notice, SetSuspend
from treering_operator.cluster.api import Api
from treering_operator.cluster.cache import ChildCache
from treering_operator.cluster.errors import (
    AlreadyExistsError,
    ApiError,
    ConflictError,
    NotFoundError,
    UnavailableError,
)
from treering_operator.cluster.places import CONFIG_MAPS, EVENTS, JOBS, NETWORK_POLICIES, SERVICES, Place
from treering_operator.observed import JobView
from treering_operator.resources.children import Children, children
from treering_operator.resources.event import event
from treering_operator.settings import Settings

log = logging.getLogger(__name__)
_REMEMBERED = 8192
_POLICY_STANDS_S = 600.0


class NotYetError(Exception):
    """Something of that name is there that is not ours, or is going: it has to go first.

    Args:
        found: what is in the way.
        mend: what a person does about it if it stays.
    """

    def __init__(self, found: str, mend: str) -> None:
        super().__init__(f"{found}. {mend}")


class PostponedError(Exception):
    """The Job is made, the rest of it comes as soon as the lines that wait have theirs."""


class Actor:
    """The operator's hands.

    Args:
        api: the session.
        jobs: told of what was written.
        settings: of the operator.
        is_pressed: whether many lines wait; then Jobs come first, so that each takes its place in its queue early.
    """

    def __init__(self, api: Api, jobs: ChildCache[JobView], settings: Settings, is_pressed: Callable[[], bool]) -> None:
        self._api, self._jobs, self._settings, self._is_pressed = api, jobs, settings, is_pressed
        self._whole = _Remembered()
        self._told = _Remembered()
        self._policies: dict[str, float] = {}

    async def act(self, resource: Mapping[str, Any], action: Action) -> None:
        """Carry out one action.

        Raises:
            NotYetError: the Job's name is taken.
            PostponedError: the Job is made, act again for the rest.
            TreeringError: the Job can't be built.
            ApiError: the API server does not let it happen.
        """
        match action:
            case EnsureJob():
                await self._ensure_job(resource, action)
            case SetSuspend():
                await self._set_suspend(resource, action)
            case DeleteJob():
                await self._delete_job(resource, action)

    async def tell(self, resource: Mapping[str, Any], notice: Notice) -> None:
        """Tell a notice, once. One that can't be told is logged: nothing depends on it."""
        body = event(resource, notice, datetime.now(UTC), self._settings.identity)
        name = f"{resource['metadata']['namespace']}/{body['metadata']['name']}"
        if name in self._told:
            return
        try:
            await self._api.create(EVENTS, resource["metadata"]["namespace"], body)
        except AlreadyExistsError:
            pass
        except ApiError as error:
            log.info("event %s was not told: %s", name, error)
            if isinstance(error, UnavailableError):  # told again if this is decided again
                return
        self._told.add(name)

    async def _ensure_job(self, resource: Mapping[str, Any], action: EnsureJob) -> None:
        made = children(resource, action.name, action.plan, self._settings)
        namespace = resource["metadata"]["namespace"]
        uid = self._known(resource, namespace, action.name)
        if uid is None:
            uid = await self._create_job(resource, namespace, made)
            if self._is_pressed():
                raise PostponedError
        if uid in self._whole:
            return
        # the plan comes last: the pod waits for it, and so starts only when all the rest is there
        if made.network_policy is not None:
            await self._apply_policy(namespace, made.network_policy)
        service = made.service(uid)
        if service is not None:
            await self._create_owned(SERVICES, namespace, service, uid)
        await self._create_owned(CONFIG_MAPS, namespace, made.plan_map(uid), uid)
        self._whole.add(uid)

    async def _apply_policy(self, namespace: str, policy: Mapping[str, Any]) -> None:
        """Apply a line's NetworkPolicy, but not again while it was applied like this of late: it outlives the round."""
        said = f"{policy['metadata']['ownerReferences'][0]['uid']} {json.dumps(policy['spec'], sort_keys=True)}"
        age_s = time.monotonic() - self._policies.get(said, -_POLICY_STANDS_S)
        if age_s < _POLICY_STANDS_S:
            return
        await self._api.apply(NETWORK_POLICIES, namespace, policy["metadata"]["name"], policy)
        self._policies[said] = time.monotonic()
        if len(self._policies) > _REMEMBERED:
            self._policies.pop(next(iter(self._policies)))

    def _known(self, resource: Mapping[str, Any], namespace: str, name: str) -> str | None:
        """UID of the line's own Job of this name, as far as the cache knows."""
        line = (namespace, resource["metadata"]["name"])
        job = next((job for job in self._jobs.of(line) if job.name == name), None)
        if job is None:
            return None
        if job.deleting or job.line_uid != resource["metadata"]["uid"]:
            raise _job_taken(namespace, name)
        return job.uid

    async def _create_job(self, resource: Mapping[str, Any], namespace: str, made: Children) -> str:
        name = made.job["metadata"]["name"]
        try:
            job = await self._api.create(JOBS, namespace, made.job)
        except AlreadyExistsError:
            job = await self._api.get(JOBS, namespace, name)
            if not _is_owned(job, resource["metadata"]["uid"]):
                raise _job_taken(namespace, name) from None
        self._jobs.put(job)
        uid: str = job["metadata"]["uid"]
        return uid

    async def _create_owned(self, place: Place, namespace: str, body: Mapping[str, Any], job_uid: str) -> None:
        """Make what belongs to a Job. One of an earlier Job of the same name is about to be collected."""
        name = body["metadata"]["name"]
        try:
            await self._api.create(place, namespace, body)
        except AlreadyExistsError:
            there = await self._api.get(place, namespace, name)
            if not _is_owned(there, job_uid):
                raise _child_taken(place, namespace, there) from None

    async def _set_suspend(self, resource: Mapping[str, Any], action: SetSuspend) -> None:
        namespace = resource["metadata"]["namespace"]
        body = {"metadata": {"uid": action.uid}, "spec": {"suspend": action.suspend}}
        try:
            self._jobs.put(await self._api.merge(JOBS, namespace, action.name, body))
        except (NotFoundError, ConflictError):
            raise NotYetError(f"Job {action.name} is another one now", "It is looked at again by itself") from None

    async def _delete_job(self, resource: Mapping[str, Any], action: DeleteJob) -> None:
        namespace = resource["metadata"]["namespace"]
        try:
            answer = await self._api.delete(JOBS, namespace, action.name, action.uid)
        except (NotFoundError, ConflictError):
            return
        if answer.get("kind") == "Job":
            self._jobs.put(answer)


class _Remembered:
    """A set of the last few names, so that it never grows."""

    def __init__(self) -> None:
        self._names: OrderedDict[str, None] = OrderedDict()

    def __contains__(self, name: str) -> bool:
        return name in self._names

    def add(self, name: str) -> None:
        self._names[name] = None
        if len(self._names) > _REMEMBERED:
            self._names.popitem(last=False)


def _job_taken(namespace: str, name: str) -> NotYetError:
    return NotYetError(
        f"a Job {name} is there that is not this line's, or that is being deleted",
        f"If it stays, delete it: kubectl --namespace {namespace} delete job {name}",
    )


def _child_taken(place: Place, namespace: str, there: Mapping[str, Any]) -> NotYetError:
    """What is in the way: of an earlier Job it is collected soon, without any owner it stays for ever."""
    metadata = there["metadata"]
    owners = ", ".join(f"{owner['kind']} {owner['name']}" for owner in metadata.get("ownerReferences", ()))
    return NotYetError(
        f"{place.plural} {metadata['name']} is there, but belongs to {owners or 'nobody'}",
        f"Delete it (kubectl --namespace {namespace} delete {place.plural} {metadata['name']}): "
        "the line makes its own and goes on by itself",
    )


def _is_owned(child: Mapping[str, Any], uid: str) -> bool:
    metadata = child["metadata"]
    return "deletionTimestamp" not in metadata and any(
        owner["uid"] == uid for owner in metadata.get("ownerReferences", ())
    )
