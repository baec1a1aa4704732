"""What a line needs next, from its spec and the lineage as the status mirrors it."""

from __future__ import annotations

from dataclasses import dataclass

from treering_api import (
    BadSpecError,
    Increment,
    Lineage,
    Mirror,
    Rollback,
    RollbackPlan,
    RoundPlan,
    Status,
    Waiting,
    next_round,
    outstanding,
)
from treering_operator.decide.reading import Line
from treering_operator.decide.settled import lineage_of
from treering_operator.decide.wording import counted
from treering_operator.resources.names import rollback_job, round_job


@dataclass(frozen=True)
class Next:
    """The next step of a line.

    Args:
        step: a round or rollback to run, or why there is none; None where the spec can't be used.
        job: name of the step's Job; empty where there is none.
        digest: work digest of the step; empty where there is none.
        error: why the spec can't be used.
        outstanding: how many increments are still to be learned.
    """

    step: RoundPlan | RollbackPlan | Waiting | None
    job: str = ""
    digest: str = ""
    error: BadSpecError | None = None
    outstanding: int = 0


def plan_next(line: Line, status: Status, due: tuple[Increment, ...]) -> Next:
    """The next step of a line.

    Args:
        line: the line.
        status: with the newest mirror in it.
        due: deliveries that discover found and that are to be learned now.
    """
    if line.error is not None or line.spec is None:
        return Next(None, error=line.error, outstanding=status.outstanding)
    mirror = status.mirror or Mirror()
    try:
        lineage = _lineage(line, status, mirror, due)
        step = next_round(line.spec, line.name, lineage, retry=line.retry, discovered=due)
    except BadSpecError as error:
        return Next(None, error=error, outstanding=status.outstanding)
    if isinstance(step, RoundPlan):
        count = len(outstanding(line.spec, lineage, due))
        return Next(step, round_job(line.name, step), step.work_digest(), outstanding=count)
    if isinstance(step, Rollback):
        plan = RollbackPlan(line=line.name, to=step.round, reason=step.reason, retry=line.retry, spec=line.spec)
        return Next(
            plan, rollback_job(line.name, plan, mirror), plan.work_digest(), outstanding=_count(line, lineage, due)
        )
    return Next(_with_found(step, mirror), outstanding=_count(line, lineage, due))


def _with_found(step: Waiting, mirror: Mirror) -> Waiting:
    """The same, told with the deliveries of discover that are settled: the lineage from a mirror lacks them."""
    found = f"{counted(mirror.discovered, 'delivery')} found and dealt with"
    if mirror.discovered and step.code == "NothingDelivered":
        return Waiting(f"up to date: {found}")
    return Waiting(f"{step.reason}; {found}") if mirror.discovered and step.code == "UpToDate" else step


def _lineage(line: Line, status: Status, mirror: Mirror, due: tuple[Increment, ...]) -> Lineage:
    """The lineage; a full retraining that is owed is owed to what comes next."""
    assert line.spec is not None, "only a spec that can be read is planned from"
    waiting = (*line.spec.increments[mirror.settled :], *due)
    return lineage_of(line.name, status, mirror, line.spec, waiting)


def _count(line: Line, lineage: Lineage, due: tuple[Increment, ...]) -> int:
    assert line.spec is not None, "only a spec that can be read is planned from"
    try:
        return len(outstanding(line.spec, lineage, due))
    except BadSpecError:  # nothing is planned from the list while the line is suspended or rolled back
        return 0
