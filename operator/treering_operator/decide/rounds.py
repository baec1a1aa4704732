"""Which Job of a line goes on, which is stopped, and which one begins: never two at a time.

A round that runs is a snapshot: later edits of the spec don't touch it, unless what it learns is no longer what comes
next. One whose pod never came up is made anew with the mended spec: it might wait for ever for an image or a queue.
A Job that never made it into the status may lack its plan, so it is finished if it is still wanted and else deleted.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from treering_api import RollbackPlan, RoundPlan, Status, Waiting
from treering_operator.actions import Action, DeleteJob, EnsureJob, SetSuspend
from treering_operator.decide.family import Family
from treering_operator.decide.planning import Next
from treering_operator.decide.reading import Line
from treering_operator.decide.wording import listed
from treering_operator.observed import JobView

_LONG_PENDING = timedelta(minutes=2)
"""A pod that has a node but has not started by then may wait for a plan that somebody deleted: it is made again."""
_MOUNTING = ("ContainerCreating", "PodInitializing")


@dataclass(frozen=True)
class Handling:
    """What is done about a line's rounds.

    Args:
        actions: in order.
        current: the Job that goes on; None: there is none.
        begun: the step whose Job is made with this decision; None: no Job is made that was not there.
        name: of that Job.
        blocked: what must go before the next Job can be made, in words; empty: nothing.
    """

    actions: tuple[Action, ...] = ()
    current: JobView | None = None
    begun: RoundPlan | RollbackPlan | None = None
    name: str = ""
    blocked: str = ""


def handle(line: Line, status: Status, family: Family, next_: Next, now: datetime) -> Handling:
    """What to do about the Jobs that run, and about the one that is wanted."""
    alive = [job for job in family.going if not job.deleting]
    fitting = [job for job in alive if not line.has_left(job.store) and _fits(job, status, family, next_)]
    current = _choose(fitting, status, next_)
    stopped = tuple(_delete(job) for job in alive if job is not current)
    if current is not None:
        return _keep(current, stopped, line, next_, is_whole=_is_whole(current, status, family, now))
    going = [*(job.name for job in family.going), *(pod.name for pod in family.lingering())]
    if going:
        return Handling(stopped, blocked=f"Waiting until {listed(going)} is gone")
    unheard = [job.name for job in family.finished if job.uid not in status.harvested]
    if unheard:
        return Handling(blocked=f"Waiting for the last word of {listed(unheard)}")
    return _begin(status, family, next_)


def _choose(fitting: list[JobView], status: Status, next_: Next) -> JobView | None:
    """The one in the status, else the wanted one, else the oldest."""
    for name in (status.job, next_.job):
        for job in fitting:
            if job.name == name:
                return job
    return fitting[0] if fitting else None


def _fits(job: JobView, status: Status, family: Family, next_: Next) -> bool:
    """Whether a running Job is still wanted."""
    step = next_.step
    if step is None:
        return job.name == status.job or job.kind == "round"
    if job.kind == "rollback" or isinstance(step, RollbackPlan):
        return job.name == next_.job
    if isinstance(step, Waiting) and step.code in ("RolledBack",):
        return False
    following = 1 + (status.mirror.round if status.mirror else 0)
    known = job.name == next_.job or _is_written(job, status)
    if job.number > following:  # what was seen of the line is older than this Job
        return True
    if job.number < following:
        return known
    runs = any(pod.running for pod in family.pods_of(job))
    if isinstance(step, RoundPlan) and job.digest != next_.digest and not _has_begun(job, status, family):
        return False
    return (known or runs) and _is_next(job, step)


def _has_begun(job: JobView, status: Status, family: Family) -> bool:
    """Whether a pod of it ever worked; a suspended one's pods are gone, but not what the status knows of them."""
    worked = any(pod.started or pod.termination for pod in family.pods_of(job))
    return worked or job.failed > 0 or (status.job == job.name and status.attempt > 0)


def _is_next(job: JobView, step: RoundPlan | Waiting | RollbackPlan) -> bool:
    """Whether what a round learns is still what comes next; a round of discovered deliveries is let alone."""
    if not job.increments or job.discovered:
        return True
    if isinstance(step, Waiting):
        return step.code in ("Suspended", "Held")
    assert isinstance(step, RoundPlan), "a rollback lets no round go on"
    return tuple(item.name for item in step.increments[: len(job.increments)]) == job.increments


def _keep(current: JobView, stopped: tuple[Action, ...], line: Line, next_: Next, *, is_whole: bool) -> Handling:
    spec = line.spec if line.error is None else None
    suspend = current.suspended if spec is None else spec.suspend
    if spec is not None and spec.suspend and current.queue:  # Kueue owns the field; the Job is made again on resume
        return Handling((*stopped, _delete(current)), blocked=f"Waiting until {current.name} is gone")
    actions = stopped
    if not current.queue and current.suspended != suspend:
        actions = (*actions, SetSuspend(current.name, current.uid, suspend))
    begun = None
    if current.name == next_.job and isinstance(next_.step, (RoundPlan, RollbackPlan)) and not is_whole:
        actions = (*actions, EnsureJob(current.name, next_.step))
        begun = next_.step
    return Handling(actions, current=current, begun=begun, name=current.name)


def _is_whole(job: JobView, status: Status, family: Family, now: datetime) -> bool:
    """Whether a Job surely has its plan: written down after it was made, and no pod waits long for who knows what."""
    pods = family.pods_of(job)
    if any(pod.started for pod in pods):
        return True
    waiting = [pod for pod in pods if pod.trouble is None or pod.trouble[0] in _MOUNTING]
    return _is_written(job, status) and not any(now - pod.created >= _LONG_PENDING for pod in waiting)


def _is_written(job: JobView, status: Status) -> bool:
    return status.job == job.name and status.plan_digest != ""


def _begin(status: Status, family: Family, next_: Next) -> Handling:
    if not isinstance(next_.step, (RoundPlan, RollbackPlan)):
        return Handling()
    strangers = family.strangers(next_.job)
    if strangers:
        names = listed(job.name for job in strangers)
        return Handling(
            blocked=f"Waiting until {names} is gone: no Job of this line, but of an earlier one of its name"
        )
    if status.failure is not None and status.failure.digest == next_.digest:
        return Handling()
    same = next((job for job in family.own if job.name == next_.job), None)
    if same is not None:  # it ended, and the same is wanted again
        actions: tuple[Action, ...] = () if same.deleting else (_delete(same),)
        return Handling(actions, blocked=f"Waiting until the earlier {same.name} is gone")
    return Handling((EnsureJob(next_.job, next_.step),), begun=next_.step, name=next_.job)


def _delete(job: JobView) -> DeleteJob:
    return DeleteJob(job.name, job.uid)
