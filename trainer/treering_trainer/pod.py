"""What a pod does besides training: it tells how its line stands, refuses a plan that does not fit, goes back a round.

A plan is made from what the operator last heard of a line; the store has the truth. Where they differ nothing is done,
and the pod's last word says how the line stands, so that the next plan fits. Called by `run`, `discovery` and the
command line. Importing this costs no detector.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from treering_api import (
    BadSpecError,
    Lineage,
    Mirror,
    ModelRef,
    OutdatedError,
    RollbackPlan,
    RoundPlan,
    RoundSummary,
    Spec,
    StoreStatus,
    next_round,
    roll_back,
)
from treering_trainer.line import Line, connect
from treering_trainer.progress import Message, Observer
from treering_trainer.store import open_store, probe

_MEND = "Make the plan anew from how the line stands; nothing was done"


@dataclass
class Standing:
    """What a pod has come to know of its line: however it ends, its last word says that much."""

    mirror: Mirror | None = None
    store: StoreStatus | None = None
    classes: tuple[str, ...] = ()
    """Of the line's model; a mirror has no room for them."""

    def read(self, line: Line) -> tuple[Lineage, str | None]:
        """The lineage and its ETag."""
        lineage, etag = line.read()
        self.see(lineage)
        return lineage, etag

    def see(self, lineage: Lineage) -> None:
        """This is how the line stands now."""
        self.mirror = Mirror.of(lineage)
        self.classes = () if lineage.current is None else lineage.current.classes

    def measure(self, line: Line, observer: Observer) -> None:
        """Find out what the store's conditions are worth."""
        self.store = try_store(line, observer)


def find_line(name: str, spec: Spec, certificate_authority: Path | None) -> Line:
    """The line of a plan, in its store."""
    return Line(name, open_store(spec.store.uri, connect(spec, certificate_authority)))


def try_store(line: Line, observer: Observer) -> StoreStatus:
    """Find out what the store's conditions are worth, and say so where they are worth nothing."""
    found = probe(line.store)
    if not (found.conditional_create and found.conditional_replace):
        text = (
            f"{line.store.uri}: the server ignores conditional writes, so nothing but care keeps two processes from"
            " publishing over each other; run one at a time"
        )
        observer(Message("warning", text))
    return StoreStatus(conditional_create=found.conditional_create, conditional_replace=found.conditional_replace)


def find_done(plan: RoundPlan, lineage: Lineage) -> RoundSummary | None:
    """The round of a plan, if it has ended: an earlier pod finished it and died before it could say so."""
    names = tuple(increment.name for increment in plan.increments)
    done = next((summary for summary in lineage.rounds if summary.round == plan.round), None)
    return done if done is not None and done.increments == names else None


def fit(plan: RoundPlan, line: Line, lineage: Lineage) -> RoundPlan:
    """The plan of the same round as the store has it: with its whole history and the names of its classes.

    Raises:
        OutdatedError: the line stands otherwise than the plan says.
        BadSpecError: the plan's spec contradicts what was learned.
    """
    current = lineage.current
    if plan.round != lineage.round + 1 or _identity(plan.base) != _identity(current or plan.spec.model.base):
        has = f"the model of round {current.round}" if current else "no model yet"
        found = f"the plan is for round {plan.round}, but the line's last round is {lineage.round}, with {has} current"
        raise OutdatedError(line.store.uri, found, _MEND)
    listed = {increment.name for increment in plan.spec.increments}
    discovered = tuple(increment for increment in plan.increments if increment.name not in listed)
    step = next_round(plan.spec, plan.line, lineage, retry=plan.retry, discovered=discovered)
    _refuse_found_before(plan, lineage)
    if not isinstance(step, RoundPlan):
        found = f"the plan would learn {_names(plan)}, but there is no round now: {step.reason}"
        raise OutdatedError(line.store.uri, found, _MEND)
    if step.increments != plan.increments:
        asked, due = (f"{_names(item)} ({item.strategy})" for item in (plan, step))
        raise OutdatedError(line.store.uri, f"the plan would learn {asked}, but what comes next is {due}", _MEND)
    return step  # with the store's strategy: to whom a full retraining is owed, only the store knows


def roll_back_by(plan: RollbackPlan, line: Line, standing: Standing) -> ModelRef:
    """Make the model of the plan's round current again, and give it.

    Raises:
        BadSpecError: that round published no model.
        ConflictError: somebody else changed the line meanwhile; nothing was done.
    """
    lineage, etag = standing.read(line)
    after = roll_back(lineage, plan.to)
    if lineage.current is None or lineage.current.round != plan.to:
        line.write(after, etag)
        standing.see(after)
    assert after.current is not None
    return after.current


def _identity(base: ModelRef | str) -> str | tuple[int, str]:
    return base if isinstance(base, str) else (base.round, base.digest)


def _names(plan: RoundPlan) -> str:
    return ", ".join(increment.name for increment in plan.increments)


def _refuse_found_before(plan: RoundPlan, lineage: Lineage) -> None:
    """A delivery that discover found and a round settled, and that the spec lists now, would be planned for ever."""
    settled = {item.increment.name: item for item in lineage.settled if item.discovered}
    for place, increment in enumerate(plan.spec.increments):
        if increment in plan.increments and increment.name in settled:
            item = settled[increment.name]
            found = f"{increment.name!r} was found by discover and {item.outcome} in round {item.round}"
            raise BadSpecError(f"spec.increments[{place}]", found, "Take it out of the list")
