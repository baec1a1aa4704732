"""`status`: what the operator says about a line. Written by it alone, bounded in size, with words for people."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field

from treering_api.cases import CaseCounts
from treering_api.conditions import REASON_PATTERN
from treering_api.exports import MOST_OUTCOMES, ExportOutcome
from treering_api.fields import (
    MAX_CLASSES,
    MAX_INCREMENTS,
    URI_LENGTH,
    Block,
    Bool,
    ClassName,
    Float,
    Int,
    Keyed,
    Name,
    Sentence,
    Timestamp,
)
from treering_api.measured import MeasuredDelivery
from treering_api.mirror import Mirror

State = Literal[
    "Pending", "Waiting", "Queued", "Training", "UpToDate", "Suspended", "Held", "RolledBack", "Retrying", "Stalled"
]
Digest = Annotated[str, Field(max_length=64, pattern=r"^[0-9a-f]*$")]
Url = Annotated[str, Field(max_length=URI_LENGTH)]
Score = Annotated[Float, Field(ge=-1, le=1)]
Number = Annotated[Int, Field(ge=0, le=1_000_000_000)]


class StatusBlock(Block):
    """A block that only Treering writes: fields of a newer release are let through unread, so that one can go back."""

    model_config = ConfigDict(extra="ignore")


class Condition(StatusBlock):
    """One condition, as Kubernetes has them."""

    type: Annotated[str, Field(min_length=1, max_length=64)] = Field(
        description="Ready, Reconciling, Stalled, Training, Suspended or Published."
    )
    status: Literal["True", "False", "Unknown"] = Field(description="Whether it is so.")
    reason: Annotated[str, Field(min_length=1, max_length=64, pattern=REASON_PATTERN)] = Field(
        description="Why, as one word in CamelCase."
    )
    message: Annotated[str, Field(max_length=2048)] = Field(default="", description="Why, in words.")
    last_transition_time: Timestamp = Field(description="When `status` last changed, RFC 3339.")
    observed_generation: Number = Field(default=0, description="Version of the spec that was looked at.")


class Progress(StatusBlock):
    """How far the running round is."""

    percent: Annotated[Int, Field(ge=0, le=100)] = Field(description="Of the whole round, 0 to 100.")
    stage: Annotated[str, Field(max_length=32)] = Field(description="The stage that runs: fetch ... publish.")
    epoch: Number = Field(default=0, description="Epoch of the training, from 1; 0 before it.")
    epochs: Number = Field(default=0, description="Epochs that the training has.")
    eta_seconds: Number | None = Field(default=None, description="Time left, in seconds. Absent: not known yet.")
    eta: Annotated[str, Field(max_length=20)] | None = Field(default=None, description="The same for people: 1h30m.")
    images_per_second: Annotated[Float, Field(ge=0)] | None = Field(default=None, description="Speed of the training.")
    updated: Timestamp | None = Field(default=None, description="When the pod was last asked, RFC 3339.")


class ModelStatus(StatusBlock):
    """The line's current model."""

    round: Number = Field(description="Round that published it.")
    uri: Url = Field(description="Its folder in the store.")
    digest: Digest = Field(description="SHA-256 of its manifest, hexadecimal.")
    classes: Annotated[tuple[ClassName, ...], Field(max_length=MAX_CLASSES)] = Field(
        default=(), description="Class names in head order; the first ones, if a pod could not tell them all."
    )
    class_count: Number = Field(default=0, description="How many classes it has. 0: no pod said so yet.")
    map50: Score | None = Field(default=None, description="Mean mAP50 over all classes and sets, 0 to 1.")


class RoundStatus(StatusBlock):
    """One finished round; the store has the whole story."""

    round: Number = Field(description="Number of the round.")
    attempt: Number = Field(description="Attempt that finished it.")
    increments: Annotated[tuple[Name, ...], Field(max_length=50)] = Field(description="What it learned; the first 50.")
    verdict: Literal["published", "rejected", "failed"] = Field(description="How it ended.")
    strategy: Literal["", "incremental", "full"] = Field(default="", description="How it learned.")
    message: Sentence = Field(default="", description="The verdict in words.")
    map50: Score | None = Field(default=None, description="mAP50 of the candidate, 0 to 1.")
    map50_before: Score | None = Field(default=None, description="mAP50 of the model before, on old classes, 0 to 1.")
    forgetting: Score | None = Field(default=None, description="mAP50 lost on old classes; negative is a gain.")
    gain: Score | None = Field(default=None, description="mAP50 on new classes, 0 to 1.")
    measured: MeasuredDelivery | None = Field(
        default=None, description="What was measured before training. Absent: nothing could be."
    )
    exports: Annotated[tuple[ExportOutcome, ...], Field(max_length=MOST_OUTCOMES)] = Field(
        default=(), description="How each further format went; one that did not pass was not published."
    )
    cases: CaseCounts | None = Field(
        default=None, description="Pictures that it collected to be looked at or labelled. Absent: none were wanted."
    )
    gpu_seconds: Annotated[Float, Field(ge=0)] = Field(default=0.0, description="GPU time, in seconds.")
    start_time: Timestamp | None = Field(default=None, description="Start, RFC 3339.")
    completion_time: Timestamp | None = Field(default=None, description="End, RFC 3339.")
    uri: Url = Field(default="", description="Its folder in the store.")


class SettledIncrement(StatusBlock):
    """One increment of the spec that was dealt with; it can't be changed any more."""

    name: Name = Field(description="Name of the increment.")
    uri: Url = Field(description="URI it was trained from.")


class Discovered(StatusBlock):
    """One delivery that discover found."""

    name: Name = Field(description="Name of the delivery.")
    uri: Url = Field(description="Its folder in the store.")
    images: Number = Field(default=0, description="Images in it.")
    digest: Digest = Field(default="", description="Changes while it grows.")
    complete: Bool = Field(default=False, description="Whether two looks saw the same: it does not grow any more.")
    found: Timestamp | None = Field(default=None, description="When it was first seen, RFC 3339.")


class Discovery(StatusBlock):
    """What discover sees and what it waits for."""

    looks: Number = Field(default=0, description="Number of the last look that ended; only rises.")
    begun: Number = Field(default=0, description="Number of the look that was begun last.")
    digest: Digest = Field(default="", description="What that look depends on: when it changes, one is due at once.")
    last_look: Timestamp | None = Field(default=None, description="When it last looked, RFC 3339.")
    failure: Sentence = Field(default="", description="Why the last look failed; empty: it did not.")
    more: Number = Field(default=0, description="Deliveries found beyond those listed.")
    waiting_for: Sentence = Field(default="", description="What is missing before a round starts, in words.")
    images: Number = Field(default=0, description="Images that wait.")
    deliveries: Annotated[tuple[Discovered, ...], Field(max_length=MAX_INCREMENTS), Keyed("name")] = Field(
        default=(), description="Deliveries found so far, in order."
    )


class Unanswered(StatusBlock):
    """Work that was done without a word about it: it is asked again, but not for ever."""

    digest: Digest = Field(description="What was asked: the plan's work digest.")
    count: Number = Field(default=0, description="How often.")


class Stopped(StatusBlock):
    """A running Job that was deleted; it is counted once, however often its deletion is tried."""

    uid: Annotated[str, Field(max_length=64)] = Field(description="UID of the Job.")
    gpu_seconds: Annotated[Float, Field(ge=0)] = Field(description="GPU time counted when it was deleted, in seconds.")


class Failure(StatusBlock):
    """A failure that time does not mend; what it is about is tried again once the spec or the annotation changes."""

    digest: Digest = Field(description="What was tried: the plan's work digest.")
    reason: Annotated[str, Field(max_length=64)] = Field(description="Reason of the condition Stalled.")
    where: Sentence = Field(default="", description="Field, file or URI at fault.")
    message: Sentence = Field(default="", description="What was found there, and the mend.")
    time: Timestamp | None = Field(default=None, description="When it failed, RFC 3339.")


class StoreStatus(StatusBlock):
    """What the store was found to be able to do."""

    conditional_create: Bool = Field(description="Whether it refuses to overwrite when asked to.")
    conditional_replace: Bool = Field(description="Whether it refuses to replace another version when asked to.")


class Status(StatusBlock):
    """What the operator says about a line."""

    observed_generation: Number = Field(default=0, description="Version of the spec that this status is about.")
    state: State = Field(default="Pending", description="One word for the line.")
    message: Sentence = Field(default="", description="The state in words: what it does or what it waits for.")
    conditions: Annotated[tuple[Condition, ...], Field(max_length=16), Keyed("type")] = Field(
        default=(), description="Ready, Reconciling, Stalled (kstatus), Training, Suspended, Published."
    )
    round: Number = Field(default=0, description="Number of the running round, else of the last one; only rises.")
    attempt: Number = Field(default=0, description="Attempt at that round; only rises.")
    increment: Annotated[str, Field(max_length=63)] = Field(default="", description="Increment of that round.")
    job: Annotated[str, Field(max_length=253)] = Field(default="", description="Name of its Job.")
    plan_digest: Digest = Field(default="", description="SHA-256 of the plan of the running round.")
    start_time: Timestamp | None = Field(default=None, description="Start of that round, RFC 3339.")
    completion_time: Timestamp | None = Field(default=None, description="End of the last finished round, RFC 3339.")
    progress: Progress | None = Field(default=None, description="How far the running round is.")
    strategy: Literal["", "incremental", "full"] = Field(default="", description="How that round learns.")
    strategy_reason: Sentence = Field(default="", description="Why this way, in words.")
    map50: Score | None = Field(default=None, description="mAP50 of the line's model, 0 to 1.")
    map50_before: Score | None = Field(default=None, description="mAP50 before the last round, on old classes, 0 to 1.")
    forgetting: Score | None = Field(default=None, description="mAP50 that the last round lost on old classes.")
    gain: Score | None = Field(default=None, description="mAP50 of the last round's new classes.")
    measured: MeasuredDelivery | None = Field(
        default=None, description="The last round's delivery against what was learned before it. Absent: not measured."
    )
    gpu_seconds: Annotated[Float, Field(ge=0)] = Field(default=0.0, description="GPU time of all rounds, in seconds.")
    gpu_hours: Annotated[str, Field(max_length=16)] = Field(default="", description="The same in hours, for people.")
    model: ModelStatus | None = Field(default=None, description="The line's current model.")
    rounds: Annotated[tuple[RoundStatus, ...], Field(max_length=50)] = Field(
        default=(), description="The last finished rounds, newest last; as many as historyLimit says."
    )
    settled: Annotated[tuple[SettledIncrement, ...], Field(max_length=MAX_INCREMENTS)] = Field(
        default=(), description="Increments of the spec that were dealt with, in order."
    )
    learned: Annotated[tuple[Name, ...], Field(max_length=MAX_INCREMENTS)] = Field(
        default=(), description="Names of the spec's increments that are in the current model."
    )
    skipped: Annotated[tuple[Name, ...], Field(max_length=MAX_INCREMENTS)] = Field(
        default=(), description="Names of the spec's increments that were rejected and passed over."
    )
    outstanding: Number = Field(default=0, description="How many increments are still to be learned.")
    discovery: Discovery | None = Field(default=None, description="What discover sees.")
    store: StoreStatus | None = Field(default=None, description="What the store can do.")
    mirror: Mirror | None = Field(default=None, description="How the lineage in the store stood when it was last read.")
    mirror_store: Url = Field(
        default="",
        description="URI of the store that it was read from. Where spec.store.uri is another one, the line moved: what "
        "was known of it is forgotten, and what lies in the other store counts.",
    )
    failure: Failure | None = Field(
        default=None, description="What failed for good and is not tried again as it is; absent: nothing."
    )
    unanswered: Unanswered | None = Field(default=None, description="What ended without a result. Absent: nothing.")
    harvested: Annotated[tuple[Annotated[str, Field(max_length=64)], ...], Field(max_length=200)] = Field(
        default=(), description="UIDs of finished Jobs whose results are in this status, as long as the Jobs exist."
    )
    stopped: Annotated[tuple[Stopped, ...], Field(max_length=50)] = Field(
        default=(), description="Running Jobs that were deleted, as long as they exist."
    )
    retry: Annotated[str, Field(max_length=253)] = Field(
        default="", description="The retry annotation that was last acted upon."
    )

    def data(self) -> dict[str, Any]:
        """The status as an API server takes it: plain data, without what is not known."""
        plain: dict[str, Any] = self.model_dump(mode="json", by_alias=True, exclude_none=True)
        return plain
