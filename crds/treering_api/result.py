"""How a round ended, small enough for a pod's termination message: the trainer's last word to the operator."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import ConfigDict, Field

from treering_api.cases import CaseCounts
from treering_api.exit_codes import ExitCode
from treering_api.exports import ExportOutcome
from treering_api.fields import Block
from treering_api.measured import MeasuredDelivery
from treering_api.message import fit
from treering_api.mirror import Mirror
from treering_api.status import StoreStatus

_ELLIPSIS = "…"
_SHORTEST_BYTES = 100


class RoundResult(Block):
    """How one attempt at a round ended; fields of a newer trainer are let through unread."""

    model_config = ConfigDict(extra="ignore")

    schema_version: Literal[1] = 1
    exit_code: ExitCode = Field(description="The process's exit code.")
    line: Annotated[str, Field(max_length=63)] = Field(description="Name of the line.")
    round: int = Field(ge=0, description="Number of the round; 0 when it never began.")
    attempt: int = Field(ge=0, description="Attempt at the round; 0 when it never began.")
    stage: Annotated[str, Field(max_length=32)] = Field(
        default="", description="The stage it ended in; empty: all done."
    )
    increments: tuple[str, ...] = Field(default=(), description="What it learned; the first few, if they are many.")
    verdict: Literal["", "published", "rejected", "rolledBack"] = Field(
        default="", description="What the gate said; rolledBack where there was no round."
    )
    strategy: Literal["", "incremental", "full"] = Field(default="", description="How it learned.")
    strategy_reason: str = Field(default="", description="Why this way, in words.")
    where: str = Field(default="", description="Field, file or URI at fault; empty when nothing is.")
    message: str = Field(default="", description="The verdict or the error in words.")
    map50: float | None = Field(default=None, description="mAP50 of the candidate, 0 to 1.")
    map50_before: float | None = Field(default=None, description="mAP50 of the model before, on old classes.")
    forgetting: float | None = Field(default=None, description="mAP50 lost on old classes.")
    gain: float | None = Field(default=None, description="mAP50 on new classes.")
    measured: MeasuredDelivery | None = Field(default=None, description="The delivery against what was learned before.")
    exports: tuple[ExportOutcome, ...] = Field(
        default=(), description="How each further format went; one that did not pass was not published."
    )
    cases: CaseCounts | None = Field(
        default=None, description="Pictures that it collected to be looked at or labelled. Absent: none were wanted."
    )
    gpu_seconds: float = Field(default=0.0, ge=0, description="GPU time, in seconds.")
    uri: str = Field(default="", description="Folder of the round in the store.")
    digest: str = Field(default="", description="SHA-256 of the published manifest.")
    class_count: int = Field(default=0, ge=0, description="Classes of the published model, else of the line's.")
    classes: tuple[str, ...] = Field(default=(), description="Their names; the first few, if they don't fit.")
    started: str = Field(default="", description="Start of the round, RFC 3339; empty when it never began.")
    finished: str = Field(default="", description="End of the round, RFC 3339; empty unless there is a verdict.")
    images: int = Field(default=0, ge=0, description="New train images.")
    store: StoreStatus | None = Field(default=None, description="What the store was found to be able to do.")
    mirror: Mirror | None = Field(
        default=None, description="How the lineage stands after it; none where it was not read."
    )

    def to_message(self) -> str:
        """The result as JSON of at most 4096 bytes; long lists and texts are cut, numbers never."""
        return fit(self, RoundResult._shorter)

    @classmethod
    def from_message(cls, message: str) -> Self:
        """Read a termination message back.

        Raises:
            ValueError: it is no result (pydantic's error).
        """
        return cls.model_validate_json(message)

    def _shorter(self) -> Self:
        """The same with its longest part cut in half; without the mirror's texts, then without it, when all is cut."""
        lists: dict[str, tuple[str, ...]] = {"classes": self.classes, "increments": self.increments}
        texts = {"message": self.message, "strategy_reason": self.strategy_reason, "where": self.where, "uri": self.uri}
        sizes = {name: sum(len(item.encode()) + 3 for item in items) for name, items in lists.items()}
        sizes |= {name: len(text.encode()) for name, text in texts.items()}
        sizes["measured"] = self._measured_bytes()
        sizes["exports"] = sum(len(item.reason.encode()) for item in self.exports)
        longest = max(sizes, key=lambda name: sizes[name])
        if sizes[longest] <= _SHORTEST_BYTES:
            return self.model_copy(update={"mirror": None if self.mirror is None else self.mirror.shorter()})
        if longest == "measured":
            return self.model_copy(update={"measured": self.measured.shorter() if self.measured else None})
        if longest == "exports":
            return self.model_copy(update={"exports": tuple(item.shorter() for item in self.exports)})
        if longest in lists:
            return self.model_copy(update={longest: lists[longest][: len(lists[longest]) // 2]})
        text = texts[longest].removesuffix(_ELLIPSIS)
        return self.model_copy(update={longest: text[: len(text) // 2] + _ELLIPSIS})

    def _measured_bytes(self) -> int:
        """Of what `MeasuredDelivery.shorter` can leave out."""
        told = (*self.measured.warnings, *self.measured.would_change) if self.measured else ()
        return sum(len(text.encode()) + 3 for text in told)
