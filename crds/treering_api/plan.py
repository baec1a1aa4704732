"""The keystone: what the next round of a line is, computed as pure data from spec and lineage.

Called by the command line on one machine and by the operator on a cluster; they differ only in how they run a plan.
Same input, same plan: no clock, no environment, no store.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import Field

from treering_api.deliveries import Increment
from treering_api.errors import BadSpecError
from treering_api.fields import Block, Bool, Sentence
from treering_api.lineage import Lineage, ModelRef
from treering_api.spec import Spec

Stage = Literal["fetch", "verify", "analyse", "prepare", "train", "evaluate", "gate", "export", "publish"]
STAGES: tuple[Stage, ...] = (
    "fetch", "verify", "analyse", "prepare", "train", "evaluate", "gate", "export", "publish",
)  # fmt: skip
RETRY_ANNOTATION = "treering.dev/retry"
KEEPING_FIELDS = ("increments", "discover", "suspend", "history_limit", "ttl", "rollback_to")
"""Fields of the spec that say how a line is kept, not how a round works: a Job is never made anew for them."""
_LEARNING_FIELDS = ("model", "strategy", "policies", "training", "evaluation", "verification")

WaitingCode = Literal["UpToDate", "Suspended", "Held", "RolledBack", "NothingDelivered"]


@dataclass(frozen=True)
class Waiting:
    """No round now."""

    reason: str
    code: WaitingCode = "UpToDate"


@dataclass(frozen=True)
class Rollback:
    """No round, but an earlier round's model is to be current again (`lineage.roll_back`)."""

    round: int
    reason: str


class RollbackPlan(Block):
    """Making an earlier round's model the line's model again, as a snapshot: what a pod is asked to do."""

    line: str = Field(description="Name of the line.")
    to: int = Field(ge=1, description="Round whose model is to be current.")
    reason: Sentence = Field(description="Why, in words.")
    retry: str | None = Field(default=None, description="The retry annotation when the plan was made.")
    spec: Spec = Field(description="The spec when the plan was made.")

    def work_digest(self) -> str:
        """SHA-256 over what must change before a rollback that failed is tried again."""
        return _digest([self.line, self.to, self.retry, _plain(self.spec.store), _plain(self.spec.compute)])


class RoundPlan(Block):
    """Everything a round needs to know, as a snapshot: later edits of the spec never change it."""

    line: str = Field(description="Name of the line.")
    round: int = Field(ge=1, description="Number of the round.")
    increments: tuple[Increment, ...] = Field(description="What it learns.")
    history: tuple[Increment, ...] = Field(description="What the line learned before, in order.")
    base: ModelRef | str = Field(description="The model to start from: a published one, or spec.model.base.")
    known_classes: tuple[str, ...] = Field(description="Classes of the model to start from, in head order.")
    strategy: Literal["auto", "incremental", "full"] = Field(description="The strategy asked for.")
    reason: Sentence = Field(description="Why there is a round, in words.")
    scheduled: Bool = Field(default=False, description="Whether spec.retrain is why the strategy is full.")
    stages: tuple[Stage, ...] = Field(default=STAGES, description="What is done, in order.")
    retry: str | None = Field(default=None, description="The retry annotation when the plan was made.")
    spec: Spec = Field(description="The spec when the plan was made.")

    @property
    def parent(self) -> int:
        """Round whose model this one starts from or is compared with; 0: none."""
        return self.base.round if isinstance(self.base, ModelRef) else 0

    @property
    def merges(self) -> bool:
        """Whether the round makes the line's first model of several."""
        return isinstance(self.base, str) and bool(self.spec.model.donors)

    def digest(self) -> str:
        """SHA-256 over the whole plan, hexadecimal: equal plans have equal digests."""
        return _digest(self.model_dump(mode="json"))

    def work_digest(self) -> str:
        """SHA-256 over what must change before a round that failed for good is tried again.

        Deliveries that are not this round's, and how the line is kept, do not count.
        """
        names = sorted(set(Spec.model_fields) - set(KEEPING_FIELDS))
        fields = [(name, _plain(getattr(self.spec, name))) for name in names]
        base = self.base if isinstance(self.base, str) else self.base.digest
        increments = [increment.model_dump(mode="json") for increment in self.increments]
        return _digest([self.line, self.round, base, self.strategy, self.retry, increments, fields])

    def learning_digest(self) -> str:
        """SHA-256 over what decides how these increments are learned; a held line goes on when it changes."""
        return _learning_digest(self.spec, self.increments)


def next_round(
    spec: Spec,
    line_name: str,
    lineage: Lineage,
    *,
    retry: str | None = None,
    discovered: tuple[Increment, ...] = (),
) -> RoundPlan | Rollback | Waiting:
    """What is to be done next.

    Args:
        spec: what the user says now.
        line_name: name of the line.
        lineage: what the line has been through.
        retry: value of the annotation `treering.dev/retry`, if there is one.
        discovered: deliveries found by discover that are due, in order; they come after those of the spec, and are
            learned together in one round.

    Raises:
        BadSpecError: the spec contradicts what was learned: an increment removed, reordered or changed.
    """
    if spec.suspend:
        return Waiting("suspended by spec.suspend", "Suspended")
    if spec.rollback_to is not None:
        return _pin(spec.rollback_to, lineage)
    waiting_list = outstanding(spec, lineage, discovered)
    if not waiting_list:
        return _idle(lineage)
    first = _together(spec, lineage, waiting_list)
    if _is_held(spec, lineage, first, retry):
        assert lineage.held is not None
        return Waiting(lineage.held.reason, "Held")
    return _plan(spec, line_name, lineage, first, retry)


def _together(spec: Spec, lineage: Lineage, waiting_list: tuple[Increment, ...]) -> tuple[Increment, ...]:
    """What one round learns: the next increment of the spec, or every delivery that discover says is due.

    A round that merges donors learns all that is listed: what each of them saw holds the others.
    """
    listed = {increment.name for increment in spec.increments}
    if spec.model.donors and lineage.current is None:
        return waiting_list
    return waiting_list[:1] if waiting_list[0].name in listed else waiting_list


def outstanding(spec: Spec, lineage: Lineage, discovered: tuple[Increment, ...] = ()) -> tuple[Increment, ...]:
    """The increments that are still to be learned, in order.

    Raises:
        BadSpecError: an increment that was dealt with was removed, reordered or changed.
    """
    _check_settled(spec, lineage)
    done = {item.increment.name for item in lineage.settled}
    return tuple(increment for increment in (*spec.increments, *discovered) if increment.name not in done)


def _check_settled(spec: Spec, lineage: Lineage) -> None:
    settled = [item for item in lineage.settled if not item.discovered]
    names = [increment.name for increment in spec.increments]
    for place, item in enumerate(settled):
        was = item.increment
        if was.name not in names:
            raise BadSpecError(
                "spec.increments",
                f"increment {was.name!r} was {item.outcome} in round {item.round}, but is gone",
                f"Put it back at place {place + 1} ({{name: {was.name}, uri: {was.uri}}}), or start a new line",
            )
        if names[place] != was.name:
            raise BadSpecError(
                f"spec.increments[{place}]",
                f"found {names[place]!r} where {was.name!r} was {item.outcome} in round {item.round}",
                f"Put {was.name!r} back at place {place + 1}; new increments are appended at the end",
            )
        _check_unchanged(f"spec.increments[{place}]", spec.increments[place], was)


def _check_unchanged(where: str, now: Increment, was: Increment) -> None:
    if now.uri.rstrip("/") != was.uri.rstrip("/"):
        raise BadSpecError(
            f"{where}.uri",
            f"increment {was.name!r} was trained from {was.uri}, now it says {now.uri}",
            f"Put {was.uri} back; a new delivery needs a new name at the end of the list",
        )
    if now.classes != was.classes:
        raise BadSpecError(
            f"{where}.classes",
            f"increment {was.name!r} was trained with renames {was.classes}, now it says {now.classes}",
            "Put them back as they were, or start a new line",
        )


def _pin(rollback_to: int, lineage: Lineage) -> Rollback | Waiting:
    if lineage.current is None or lineage.current.round != rollback_to:
        return Rollback(rollback_to, f"spec.rollbackTo asks for round {rollback_to}")
    return Waiting(f"rolled back to round {rollback_to}; remove spec.rollbackTo to go on learning", "RolledBack")


def _idle(lineage: Lineage) -> Waiting:
    if not lineage.settled:
        return Waiting("nothing was delivered yet", "NothingDelivered")
    count = len(lineage.learned)
    passed = f", {len(lineage.skipped)} passed over" if lineage.skipped else ""
    return Waiting(f"up to date: {count} increment{'s' * (count != 1)} learned{passed}", "UpToDate")


def _is_held(spec: Spec, lineage: Lineage, first: tuple[Increment, ...], retry: str | None) -> bool:
    """Whether the hold is about these increments and nobody changed anything; the digest knows the increments, too."""
    held = lineage.held
    return held is not None and held.retry == retry and held.spec_digest == _learning_digest(spec, first)


def _plan(
    spec: Spec, line_name: str, lineage: Lineage, increments: tuple[Increment, ...], retry: str | None
) -> RoundPlan:
    history = tuple(item.increment for item in lineage.settled if item.outcome == "learned")
    current = lineage.current
    forced = bool(lineage.retrain_full) and increments[0].name in lineage.retrain_full
    why_now = "" if forced or spec.strategy == "full" else _retraining_due(spec, lineage)
    return RoundPlan(
        line=line_name,
        round=lineage.round + 1,
        increments=increments,
        history=history,
        base=current or spec.model.base,
        known_classes=current.classes if current else (),
        strategy="full" if forced or why_now else spec.strategy,
        reason=_reason(increments[0], lineage, forced) + (f"; all is learned anew: {why_now}" if why_now else ""),
        scheduled=bool(why_now),
        retry=retry,
        spec=spec,
    )


def _reason(increment: Increment, lineage: Lineage, forced: bool) -> str:
    if forced:
        return f"increment {increment.name!r} was rejected in round {lineage.round}; onReject: retrainFull"
    if lineage.held is not None:
        return f"increment {increment.name!r} is tried again: the hold of round {lineage.round} was lifted"
    if lineage.current is None:
        return f"first round of the line: increment {increment.name!r}"
    return f"increment {increment.name!r} is new since round {lineage.current.round}"


def _retraining_due(spec: Spec, lineage: Lineage) -> str:
    """Why `spec.retrain` asks for full retraining now; empty where it does not.

    A lineage from a mirror has no rounds: there the pod, which reads the store's, says so.
    """
    retrain = spec.retrain
    if retrain is None or lineage.current is None:
        return ""
    rounds, drift = len(lineage.since_full), lineage.drift_sum
    if retrain.every_rounds is not None and rounds >= retrain.every_rounds:
        return f"{rounds} rounds since the last full training (spec.retrain.everyRounds is {retrain.every_rounds})"
    if retrain.drift_sum is not None and drift >= retrain.drift_sum:
        limit = f"spec.retrain.driftSum is {retrain.drift_sum:g}"
        return f"drift added up to {drift:.2f} since the last full training ({limit})"
    return ""


def _learning_digest(spec: Spec, increments: tuple[Increment, ...]) -> str:
    fields = {
        name: getattr(spec, name).model_dump(mode="json") if name != "strategy" else spec.strategy
        for name in _LEARNING_FIELDS
    }
    return _digest([fields, [increment.model_dump(mode="json") for increment in increments]])


def _plain(value: Any) -> Any:
    return value.model_dump(mode="json") if isinstance(value, Block) else value


def _digest(data: Any) -> str:
    text = json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()
