"""One line, once: observe, decide, act, tell, and one status write, only if it changes something.

Called by `service`'s workers through the queue, for one line never twice at a time. Nothing that goes wrong here ends
the loop: it is logged with the line's name, counted, told in the line's status where a person must know, and tried
again.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from treering_api import Reason, Status, TreeringError
from treering_operator.act import Actor, NotYetError, PostponedError
from treering_operator.actions import Decision, DeleteJob
from treering_operator.cluster.api import JSON, Api
from treering_operator.cluster.cache import Key
from treering_operator.cluster.errors import ApiError, ConflictError, NotFoundError
from treering_operator.cluster.places import LINES
from treering_operator.decide import decide
from treering_operator.metrics import Metrics
from treering_operator.observe import Caches, Progress, observe
from treering_operator.observed import Observed
from treering_operator.queue import WorkQueue
from treering_operator.resources.status import status_body, status_data
from treering_operator.settings import Settings
from treering_operator.trouble import describe, reason_of, stalled, stored_status

log = logging.getLogger(__name__)
_LONG_S = 60.0
"""What is in the way for so long may stay: a person is told. The collector of garbage takes seconds."""


@dataclass(frozen=True)
class Reconciler:
    """What a reconcile needs.

    Args:
        api: the session.
        caches: everything known of the cluster; fed with the answers to writes.
        progress: what running pods say.
        actor: carries out decisions.
        queue: told when to look again.
        metrics: told how it went.
        settings: of the operator.
        clock: monotonic seconds.
        in_the_way: since when something is in a line's way that has to go first.
    """

    api: Api
    caches: Caches
    progress: Progress
    actor: Actor
    queue: WorkQueue[Key]
    metrics: Metrics
    settings: Settings
    clock: Callable[[], float] = time.monotonic
    in_the_way: dict[Key, float] = field(default_factory=dict)

    async def __call__(self, key: Key) -> None:
        """Reconcile a line and say when to look again. Raises nothing but cancellation."""
        began_s = time.perf_counter()
        try:
            await self._reconcile(key)
            self.queue.succeeded(key)
            self.in_the_way.pop(key, None)
        except PostponedError:
            self.queue.add(key)
        except NotYetError as error:
            log.info("line %s/%s: %s", *key, error)
            self.queue.add_failed(key)
        except ConflictError as error:
            log.debug("line %s/%s changed meanwhile: %s", *key, error)
            self.queue.add_failed(key)
        except Exception as error:  # whatever it is: the other lines go on
            self._failed(key, error)
        self.metrics.reconciled(time.perf_counter() - began_s)

    async def _reconcile(self, key: Key) -> None:
        observed = observe(key, self.caches, self.progress)
        if observed is None or "deletionTimestamp" in observed.resource["metadata"]:
            return
        try:
            decision = decide(observed, self.settings)
        except Exception as error:
            await self._tell(observed, stored_status(observed.resource), error)
            raise
        try:
            await self._act(observed, decision)
        except NotYetError as error:
            since = self.in_the_way.setdefault(key, self.clock())
            if self.clock() - since >= _LONG_S and await self._tell(
                observed, _undone(observed, decision.status), error
            ):
                self._count(decision)
            raise
        except (TreeringError, ApiError) as error:
            if await self._tell(observed, _undone(observed, decision.status), error):
                self._count(decision)
            raise
        if await self._write(observed, decision.status):
            self._count(decision)
        await self._delete(observed, decision)
        if decision.again is not None:
            self.queue.add_after(key, max(0.0, decision.again.total_seconds()))

    async def _act(self, observed: Observed, decision: Decision) -> None:
        for action in decision.actions:
            if not isinstance(action, DeleteJob):
                await self.actor.act(observed.resource, action)
        for notice in decision.notices:
            await self.actor.tell(observed.resource, notice)

    async def _delete(self, observed: Observed, decision: Decision) -> None:
        """Delete last: what a Job and its pods said must be in the status first."""
        for action in decision.actions:
            if isinstance(action, DeleteJob):
                await self.actor.act(observed.resource, action)

    async def _tell(self, observed: Observed, status: Status, error: Exception) -> bool:
        """Put a trouble that a person must know of into the status; whether that was written."""
        told = (Reason.NAME_TAKEN.value, str(error)) if isinstance(error, NotYetError) else describe(error)
        if told is None:
            return False
        generation = observed.resource["metadata"].get("generation", 0)
        before = stored_status(observed.resource)
        return await self._write(observed, stalled(status, generation, *told, datetime.now(UTC), before=before))

    async def _write(self, observed: Observed, status: Status) -> bool:
        """Write the status if it differs; whether it did."""
        resource: Any = observed.resource
        if status_data(status) == resource.get("status"):
            return False
        metadata = resource["metadata"]
        body = status_body(resource, status)
        try:
            answer: JSON = await self.api.apply(LINES, metadata["namespace"], metadata["name"], body, "status")
        except NotFoundError:
            return False
        self.caches.lines.put(answer)
        return True

    def _count(self, decision: Decision) -> None:
        if decision.ended or decision.gpu_seconds:
            self.metrics.ended(decision.ended, decision.gpu_seconds)

    def _failed(self, key: Key, error: Exception) -> None:
        self.metrics.failed(reason_of(error))
        pause_s = self.queue.add_failed(key)
        expected = isinstance(error, (ApiError, TreeringError))
        log.log(
            logging.WARNING if expected else logging.ERROR,
            "line %s/%s: %s; again in %.1f s",
            *key,
            error if expected else f"{type(error).__name__}: {error}",
            pause_s,
            exc_info=None if expected else error,
        )


def _undone(observed: Observed, status: Status) -> Status:
    """The status of a decision that could not be carried out: a Job in it surely has its plan, this one may not."""
    before = stored_status(observed.resource)
    return status.model_copy(update={"job": before.job, "plan_digest": before.plan_digest})
