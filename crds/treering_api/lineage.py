"""What a line has been through: its rounds, its current model, what it learned. Kept in the store, read by everybody.

The trainer advances it with the pure functions here and publishes it with a conditional put; `plan` reads it, the
operator mirrors it in the status. Nothing in here looks at a clock or a store.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from treering_api.cases import CaseCounts
from treering_api.deliveries import Increment
from treering_api.errors import BadSpecError
from treering_api.exports import MOST_OUTCOMES, ExportOutcome
from treering_api.fields import MAX_INCREMENTS, Block, Name, Sentence
from treering_api.measured import MeasuredDelivery

if TYPE_CHECKING:
    from treering_api.plan import RoundPlan

Verdict = Literal["published", "rejected"]


class ModelRef(Block):
    """One published model."""

    round: int = Field(ge=1, description="Round that published it.")
    attempt: int = Field(ge=1, description="Attempt of that round.")
    uri: str = Field(description="Folder of the round in the store.")
    digest: str = Field(description="SHA-256 of the round's manifest, hexadecimal.")
    classes: tuple[str, ...] = Field(description="Class names in head order.")
    map50: float | None = Field(default=None, description="Mean mAP50 over all classes and sets, 0 to 1.")


class Settled(Block):
    """One increment that was dealt with and stands still from now on."""

    increment: Increment = Field(description="The increment as it was learned.")
    round: int = Field(ge=1, description="Round that settled it.")
    outcome: Literal["learned", "skipped"] = Field(description="In the model, or rejected and passed over.")
    train_images: int = Field(default=0, ge=0, description="Its train images after verification.")
    discovered: bool = Field(default=False, description="Found by discover instead of standing in the spec.")


class RoundSummary(Block):
    """One finished round."""

    round: int = Field(ge=1, description="Number of the round.")
    attempt: int = Field(ge=1, description="Attempt that finished it.")
    parent: int = Field(default=0, ge=0, description="Round whose model was current when it began; 0: none.")
    increments: tuple[str, ...] = Field(description="Names of the increments it learned.")
    strategy: Literal["incremental", "full"] = Field(description="How it learned.")
    reason: Sentence = Field(description="Why this way, in words.")
    verdict: Verdict = Field(description="What the gate said.")
    sentence: Sentence = Field(default="", description="The gate's verdict in words.")
    map50: float | None = Field(default=None, description="Mean mAP50 of the candidate, 0 to 1.")
    map50_before: float | None = Field(default=None, description="Mean mAP50 of the model before, on old classes.")
    forgetting: float | None = Field(default=None, description="mAP50 lost on old classes; negative is a gain.")
    gain: float | None = Field(default=None, description="mAP50 on new classes.")
    images: int = Field(default=0, ge=0, description="New train images.")
    gpu_seconds: float = Field(default=0.0, ge=0, description="GPU time over all attempts, in seconds.")
    measured: MeasuredDelivery | None = Field(
        default=None, description="The delivery against what was learned before. Absent: an older round."
    )
    exports: Annotated[tuple[ExportOutcome, ...], Field(max_length=MOST_OUTCOMES)] = Field(
        default=(), description="How each further format went; one that did not pass was not published."
    )
    cases: CaseCounts | None = Field(
        default=None, description="Pictures that it collected to be looked at or labelled. Absent: none were wanted."
    )
    started: str = Field(description="Start, RFC 3339.")
    finished: str = Field(description="End, RFC 3339.")
    uri: str = Field(description="Folder of the round in the store.")
    model: ModelRef | None = Field(default=None, description="The published model; none when rejected.")
    settled: tuple[Settled, ...] = Field(default=(), description="What it settled; kept when the line goes back.")
    settled_after: int | None = Field(
        default=None,
        ge=0,
        description="Last round before it whose increments stood still when it began; 0: none did. Absent: not kept.",
    )


class Hold(Block):
    """Why nothing is learned until a person decides."""

    reason: Sentence = Field(description="In words, for people.")
    increments: Annotated[tuple[Name, ...], Field(max_length=MAX_INCREMENTS)] = Field(
        description="Names of the increments of the rejected round."
    )
    spec_digest: Annotated[str, Field(max_length=64)] = Field(
        description="What the spec said then about learning them."
    )
    retry: Annotated[str, Field(max_length=1024)] | None = Field(default=None, description="The retry annotation then.")


class Lineage(Block):
    """The history of a line."""

    schema_version: Literal[1] = 1
    line: str = Field(description="Name of the line.")
    round: int = Field(default=0, ge=0, description="Number of the last finished round; numbers only rise.")
    current: ModelRef | None = Field(default=None, description="The line's model.")
    rounds: tuple[RoundSummary, ...] = Field(default=(), description="Every finished round, in order.")
    settled: tuple[Settled, ...] = Field(default=(), description="Increments that were dealt with, in order.")
    retrain_full: tuple[str, ...] = Field(
        default=(), description="Increments whose round was rejected and that are to be learned by full retraining."
    )
    held: Hold | None = Field(default=None, description="Why nothing is learned; none: the line goes on.")

    @property
    def learned(self) -> tuple[str, ...]:
        """Names of the increments in the current model, in the order they were learned."""
        return tuple(item.increment.name for item in self.settled if item.outcome == "learned")

    @property
    def skipped(self) -> tuple[str, ...]:
        """Names of the increments that were rejected and passed over."""
        return tuple(item.increment.name for item in self.settled if item.outcome == "skipped")

    @property
    def train_images(self) -> dict[str, int]:
        """Train images of every learned increment, by name."""
        return {item.increment.name: item.train_images for item in self.settled if item.outcome == "learned"}

    @property
    def since_full(self) -> tuple[RoundSummary, ...]:
        """The rounds that the current model went through since its last full training, the latest first."""
        rounds = {summary.round: summary for summary in self.rounds}
        chain: list[RoundSummary] = []
        number = self.current.round if self.current else 0
        while number in rounds and rounds[number].strategy != "full":
            chain.append(rounds[number])
            number = rounds[number].parent
        return tuple(chain)

    @property
    def drift_sum(self) -> float:
        """Drift that added up over those rounds; a delivery brings at most 1."""
        return sum(item.measured.drift_share for item in self.since_full if item.measured is not None)


def advance(lineage: Lineage, plan: RoundPlan, summary: RoundSummary, train_images: dict[str, int]) -> Lineage:
    """The lineage after a round: its model current, or its rejection handled as `onReject` says.

    Args:
        lineage: as the round found it.
        plan: the round's plan.
        summary: how it ended; `summary.round` must be `plan.round`.
        train_images: train images of the round's increments after verification, by name.
    """
    assert summary.round == plan.round, "a summary of another round"
    if summary.verdict == "published":
        assert summary.model is not None, "a published round has a model"
        after = _end(lineage, summary, _settle(plan, "learned", train_images))
        return after.model_copy(update={"current": summary.model})
    return _reject(lineage, plan, summary, train_images)


def roll_back(lineage: Lineage, to: int) -> Lineage:
    """The lineage as round `to` left it; increments settled since are outstanding again.

    Going back can be undone by going to a later round: what each round settled is kept with it.

    Raises:
        BadSpecError: that round published no model.
    """
    published = {summary.round: summary for summary in lineage.rounds if summary.model is not None}
    if to not in published:
        known = ", ".join(str(number) for number in published) or "none yet"
        raise BadSpecError(
            "spec.rollbackTo", f"round {to} published no model", f"Published rounds are: {known}. Name one of them"
        )
    return lineage.model_copy(
        update={
            "current": published[to].model,
            "settled": _settled_at(lineage, to),
            "retrain_full": (),
            "held": None,
        }
    )


def _settled_at(lineage: Lineage, number: int) -> tuple[Settled, ...]:
    """What stood still when a round had ended: what it settled, after what stood still when it began."""
    rounds = {summary.round: summary for summary in lineage.rounds}
    settled: tuple[Settled, ...] = ()
    while number:
        summary = rounds[number]
        if summary.settled_after is None:
            return (*_settled_by_parents(lineage, number), *settled)
        settled = (*summary.settled, *settled)
        number = summary.settled_after
    return settled


def _settled_by_parents(lineage: Lineage, to: int) -> tuple[Settled, ...]:
    """The same for rounds that did not keep what they settled: as far as the line still knows it."""
    parents = {summary.round: summary.parent for summary in lineage.rounds}
    chain, number = set[int](), to
    while number:
        chain.add(number)
        number = parents[number]
    return tuple(
        item for item in lineage.settled if item.round in chain or (item.outcome == "skipped" and item.round < to)
    )


def _reject(lineage: Lineage, plan: RoundPlan, summary: RoundSummary, train_images: dict[str, int]) -> Lineage:
    on_reject = plan.spec.evaluation.gate.on_reject
    if on_reject == "keep":
        return _end(lineage, summary, _settle(plan, "skipped", train_images))
    after = _end(lineage, summary, ())
    if on_reject == "retrainFull" and summary.strategy != "full":
        return after.model_copy(update={"retrain_full": summary.increments})
    why = "the full retraining was rejected, too" if on_reject == "retrainFull" else "onReject is hold"
    hold = Hold(
        reason=f"Round {summary.round} was rejected and {why}: {summary.sentence or 'see its report'}"[:1024],
        increments=summary.increments,
        spec_digest=plan.learning_digest(),
        retry=plan.retry,
    )
    return after.model_copy(update={"held": hold})


def _end(lineage: Lineage, summary: RoundSummary, settled: tuple[Settled, ...]) -> Lineage:
    """The lineage with one more round in it and what that round settled."""
    before = lineage.settled[-1].round if lineage.settled else 0
    kept = summary.model_copy(update={"settled": settled, "settled_after": before})
    return lineage.model_copy(
        update={
            "round": summary.round,
            "rounds": (*lineage.rounds, kept),
            "settled": (*lineage.settled, *settled),
            "retrain_full": (),
            "held": None,
        }
    )


def _settle(
    plan: RoundPlan, outcome: Literal["learned", "skipped"], train_images: dict[str, int]
) -> tuple[Settled, ...]:
    listed = {increment.name for increment in plan.spec.increments}
    return tuple(
        Settled(
            increment=increment,
            round=plan.round,
            outcome=outcome,
            train_images=train_images.get(increment.name, 0),
            discovered=increment.name not in listed,
        )
        for increment in plan.increments
    )
