"""What a pod tells the operator about its line's lineage, small enough for a termination message.

The lineage lies in the store, where the operator never looks. Every pod that read it says in its result how it stands
(`Mirror.of`), the operator keeps that in the status, and plans from it (`Mirror.lineage`). A line that was deleted and
made anew, or was trained on a laptop before, is so taken up where its store has it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from typing import Annotated, Self

from pydantic import ConfigDict, Field

from treering_api.deliveries import Increment
from treering_api.errors import BadSpecError
from treering_api.fields import MAX_INCREMENTS, URI_LENGTH, Block, Name
from treering_api.lineage import Hold, Lineage, ModelRef, Settled

_HEX = r"^[0-9a-f]*$"
_LIST_DIGITS = 16
_HELD_NAMES = 10
_HELD_REASON = 200


class MirrorBlock(Block):
    """A block that only pods write: fields of a newer trainer are let through unread."""

    model_config = ConfigDict(extra="ignore")


class MirrorModel(MirrorBlock):
    """The line's model without its class names, which may be too many for a message."""

    round: int = Field(ge=1, description="Round that published it.")
    attempt: int = Field(ge=1, description="Attempt of that round.")
    uri: Annotated[str, Field(max_length=URI_LENGTH)] = Field(description="Folder of the round in the store.")
    digest: Annotated[str, Field(max_length=64, pattern=_HEX)] = Field(description="SHA-256 of its manifest.")
    map50: float | None = Field(default=None, description="Mean mAP50 over all classes and sets, 0 to 1.")


class MirrorIncrement(MirrorBlock):
    """One settled increment."""

    name: Name = Field(description="Name of the increment.")
    uri: Annotated[str, Field(max_length=URI_LENGTH)] = Field(description="URI it was trained from.")


class Mirror(MirrorBlock):
    """A lineage as seen from a spec: how many of its increments are settled, and how."""

    round: int = Field(default=0, ge=0, description="Number of the last finished round.")
    model: MirrorModel | None = Field(default=None, description="The line's model; none before the first.")
    settled: int = Field(
        default=0, ge=0, le=MAX_INCREMENTS, description="How many of spec.increments are settled, from the first on."
    )
    skipped: Annotated[str, Field(max_length=MAX_INCREMENTS // 4, pattern=_HEX)] = Field(
        default="", description="Which of those were passed over: a bit for each, the first one lowest, hexadecimal."
    )
    settled_digest: Annotated[str, Field(max_length=_LIST_DIGITS, pattern=_HEX)] = Field(
        default="", description="Over the names and URIs of those, in order: whether spec.increments still begins so."
    )
    last: MirrorIncrement | None = Field(default=None, description="The last one of those.")
    discovered: int = Field(default=0, ge=0, description="How many deliveries of discover are settled.")
    retrain_full: bool = Field(default=False, description="Whether the next round is the full retraining of the last.")
    held: Hold | None = Field(default=None, description="Why nothing is learned; none: the line goes on.")

    @classmethod
    def of(cls, lineage: Lineage) -> Self:
        """How a lineage stands."""
        own = [item for item in lineage.settled if not item.discovered]
        bits = sum(1 << place for place, item in enumerate(own) if item.outcome == "skipped")
        current = lineage.current
        return cls(
            round=lineage.round,
            model=None
            if current is None
            else MirrorModel(
                round=current.round,
                attempt=current.attempt,
                uri=current.uri,
                digest=current.digest,
                map50=current.map50,
            ),
            settled=len(own),
            skipped=f"{bits:x}" if bits else "",
            settled_digest=list_digest((item.increment.name, item.increment.uri) for item in own),
            last=MirrorIncrement(name=own[-1].increment.name, uri=own[-1].increment.uri) if own else None,
            discovered=len(lineage.settled) - len(own),
            retrain_full=bool(lineage.retrain_full),
            held=_short(lineage.held),
        )

    def shorter(self) -> Self | None:
        """The same with less for people; None where nothing is left to leave out."""
        if self.held is not None and (self.held.reason or self.held.increments):
            return self.model_copy(update={"held": self.held.model_copy(update={"reason": "", "increments": ()})})
        return self.model_copy(update={"last": None}) if self.last is not None else None

    def begins(self, increments: Iterable[tuple[str, str]]) -> bool:
        """Whether these (name, URI), the first ones of a spec, are the settled ones."""
        return self.settled_digest in ("", list_digest(increments))

    def was_skipped(self, place: int) -> bool:
        """Whether the increment at a place of the spec (0 is the first) was passed over."""
        return bool(self.skipped and int(self.skipped, 16) >> place & 1)

    def lineage(self, line: str, increments: tuple[Increment, ...], waiting: tuple[Increment, ...]) -> Lineage:
        """The lineage as far as planning needs it.

        Args:
            line: name of the line.
            increments: of the spec, in order.
            waiting: what the next round would learn; a full retraining is owed to them, where one is.

        Raises:
            BadSpecError: the spec has fewer increments than are settled.
        """
        if len(increments) < self.settled:
            raise BadSpecError(
                "spec.increments",
                f"{self.settled} increments are settled, but only {len(increments)} are listed",
                "Put the list back as status.settled has it; append new increments at the end",
            )
        settled = tuple(
            Settled(
                increment=increment,
                round=max(1, self.round),
                outcome="skipped" if self.was_skipped(place) else "learned",
            )
            for place, increment in enumerate(increments[: self.settled])
        )
        return Lineage(
            line=line,
            round=self.round,
            current=None if self.model is None else ModelRef(**self.model.model_dump(), classes=()),
            settled=settled,
            retrain_full=tuple(increment.name for increment in waiting) if self.retrain_full else (),
            held=self.held,
        )


def list_digest(increments: Iterable[tuple[str, str]]) -> str:
    """Stands for a list of increments (name, URI); the same with and without a slash at a URI's end."""
    text = json.dumps([[name, uri.rstrip("/")] for name, uri in increments], ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:_LIST_DIGITS]


def _short(held: Hold | None) -> Hold | None:
    """A hold without what planning does not read: it knows its increments by `spec_digest`."""
    if held is None:
        return None
    reason = held.reason if len(held.reason) <= _HELD_REASON else held.reason[: _HELD_REASON - 1] + "…"
    return held.model_copy(update={"reason": reason, "increments": held.increments[:_HELD_NAMES]})
