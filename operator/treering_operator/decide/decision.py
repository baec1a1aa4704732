"""From one observation of a line to what is done about it; the order of a decision is the order of this file.

Finished Jobs are harvested first, so that everything after them is decided from the newest lineage; then deliveries,
then the next step, then the Jobs, and last the words.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from treering_api import BadSpecError, Mirror, RollbackPlan, RoundPlan, Status, Waiting
from treering_operator.actions import Decision, Notice
from treering_operator.decide import notices
from treering_operator.decide.cleanup import sweep
from treering_operator.decide.conditions import conditions
from treering_operator.decide.discovery import Looking, look
from treering_operator.decide.family import Family, family_of
from treering_operator.decide.harvest import adopt, harvest
from treering_operator.decide.moving import leave, settle_in
from treering_operator.decide.planning import Next, plan_next
from treering_operator.decide.progress import progress_fields
from treering_operator.decide.reading import Line, read_line
from treering_operator.decide.rounds import Handling, handle
from treering_operator.decide.salvage import salvage
from treering_operator.decide.settled import settled_fields
from treering_operator.decide.spending import count_stopped
from treering_operator.decide.standing import Scene, Standing, last_exit, stand
from treering_operator.decide.wording import cut, moment
from treering_operator.observed import Observed
from treering_operator.settings import Settings

_SOON = timedelta(seconds=10)
"""Between two looks at something that must go before a Job can be made; its going is an event, too."""
_PENDING = timedelta(seconds=130)
"""A Job whose pod does not start is looked at again a little after it counts as long pending."""


def decide(observed: Observed, settings: Settings) -> Decision:
    """What to do about a line now. Same input, same decision; it raises nothing, whatever the resource contains."""
    line = read_line(observed.resource)
    if line.deleting:
        return Decision((), (), line.status)
    family = family_of(line, observed)
    status, farewell = leave(line, line.status)
    crop = harvest(line, family, status, observed.now)
    looking = look(line, crop.status, family, observed.now)
    status = settle_in(line, _with_deliveries(crop.status, looking))
    status = status.model_copy(update=settled_fields(status, status.mirror or Mirror(), line.increments))
    next_ = plan_next(line, status, looking.due)
    handling = handle(line, status, family, next_, observed.now)
    status = _with_failure(_with_job(status, handling), next_, handling)
    status = _with_progress(status, handling, family, observed)
    status, stopped_s = count_stopped(status, family, handling.actions, observed.now)
    standing = stand(Scene(line, status, family, next_, handling, observed.now))
    told = (*farewell, *crop.notices, *looking.notices, *_tell(line, family, next_, handling, standing))
    return Decision(
        actions=(*looking.actions, *handling.actions, *sweep(line, family, status, observed.now)),
        notices=told,
        status=_write(line, status, standing, next_, observed.now),
        again=_again(observed, settings, looking, handling, standing),
        ended=crop.ended,
        gpu_seconds=crop.gpu_seconds + stopped_s,
    )


def _with_deliveries(status: Status, looking: Looking) -> Status:
    if looking.word is not None and looking.word.mirror is not None:
        status = adopt(status, looking.word.mirror, looking.word)
    return status.model_copy(update={"discovery": looking.discovery})


def _with_job(status: Status, handling: Handling) -> Status:
    """The Job that goes on or begins, and what it is about."""
    step, job = handling.begun, handling.current
    if job is None and step is None:
        return status.model_copy(update={"plan_digest": "", "progress": None})
    update: dict[str, Any]
    if job is not None:
        number, names, is_round = job.number, job.increments, job.kind == "round"
        update = {"job": job.name, "plan_digest": job.digest}
    else:
        assert step is not None, "no Job goes on, so one begins"
        is_round = isinstance(step, RoundPlan)
        number = step.round if isinstance(step, RoundPlan) else step.to
        names = tuple(item.name for item in step.increments) if isinstance(step, RoundPlan) else ()
        update = {"job": handling.name, "plan_digest": step.work_digest(), "start_time": None}
    if step is not None:
        update["retry"] = step.retry or ""
    if is_round:
        update |= {"round": number, "increment": names[0] if names else ""}
    if number != status.round and is_round:
        update |= {"attempt": 0, "strategy": "", "strategy_reason": ""}
    if job is not None and is_round:
        update["start_time"] = moment(job.started or job.created)
    if update["job"] != status.job:
        update["progress"] = None
    return status.model_copy(update=update)


def _with_failure(status: Status, next_: Next, handling: Handling) -> Status:
    """A failure stands until something else is tried, or nothing is left to try."""
    if status.failure is None or next_.error is not None:
        return status
    tried = status.plan_digest
    over = isinstance(next_.step, Waiting) and next_.step.code != "Suspended"
    if (tried and tried != status.failure.digest) or handling.begun is not None or over:
        return status.model_copy(update={"failure": None})
    return status


def _with_progress(status: Status, handling: Handling, family: Family, observed: Observed) -> Status:
    job = handling.current
    if job is None or job.kind != "round":
        return status
    running = any(pod.running and not pod.deleting for pod in family.pods_of(job))
    return status.model_copy(update=progress_fields(status, job, running, observed))


def _tell(line: Line, family: Family, next_: Next, handling: Handling, standing: Standing) -> list[Notice]:
    told: list[Notice] = []
    if isinstance(handling.begun, RoundPlan):
        told.append(notices.round_started(line, handling.name, handling.begun))
    elif isinstance(handling.begun, RollbackPlan):
        told.append(notices.rollback_started(line, handling.name, handling.begun.to))
    if isinstance(next_.error, BadSpecError):
        told.append(notices.bad_spec(line, standing.message))
    if handling.current is not None:
        pods = family.pods_of(handling.current)
        last = last_exit(pods)
        if last is not None and last.termination is not None:
            told.append(notices.interrupted(line, handling.current, last, last.termination))
        trouble = next((pod.trouble for pod in pods if pod.trouble and pod.trouble[0] == "Unschedulable"), None)
        if trouble is not None:
            told.append(notices.unschedulable(line, handling.current, trouble[1]))
    return told + _tell_suspension(line)


def _tell_suspension(line: Line) -> list[Notice]:
    if line.spec is None:
        return []
    before = next((item.status for item in line.status.conditions if item.type == "Suspended"), "False")
    return [notices.suspended(line, line.spec.suspend)] if (before == "True") != line.spec.suspend else []


def _write(line: Line, status: Status, standing: Standing, next_: Next, now: datetime) -> Status:
    """The status with its words; held to its own bounds, whatever went into it."""
    suspended = line.spec is not None and line.spec.suspend
    status = status.model_copy(
        update={
            "observed_generation": line.generation,
            "state": standing.state,
            "message": cut(standing.message),
            "conditions": conditions(status, standing, line.generation, suspended=suspended, now=now),
            "outstanding": next_.outstanding,
            "rounds": status.rounds[-(line.spec.history_limit if line.spec else 50) :],
        }
    )
    if status == line.status:
        return line.status
    return salvage(Status, status.model_dump(by_alias=True)) or line.status


def _again(
    observed: Observed, settings: Settings, looking: Looking, handling: Handling, standing: Standing
) -> timedelta | None:
    times: list[timedelta] = []
    if looking.again is not None:
        times.append(max(timedelta(seconds=1), looking.again - observed.now))
    if standing.training:
        times.append(timedelta(seconds=settings.progress_interval_s))
    elif handling.blocked:
        times.append(_SOON)
    elif handling.current is not None and not handling.current.suspended:
        times.append(_PENDING)
    return min(times, default=None)
