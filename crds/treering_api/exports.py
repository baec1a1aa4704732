"""How a round's further formats went, in the few numbers that a lineage, a result and a status have room for."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import ConfigDict, Field

from treering_api.fields import Block, Bool, Float, Int

MOST_OUTCOMES = 16


class ExportOutcome(Block):
    """How one further format went; fields of a newer trainer are let through unread."""

    model_config = ConfigDict(extra="ignore")

    name: Annotated[str, Field(max_length=32)] = Field(description="As in spec.export.formats.")
    passed: Bool = Field(description="Whether it was published.")
    size_bytes: Annotated[Int, Field(ge=0)] = Field(default=0, description="Size of its files. 0: none were made.")
    map50: Annotated[Float, Field(ge=0, le=1)] | None = Field(
        default=None, description="Mean mAP50 over the evaluation sets, 0 to 1. Absent: not measured."
    )
    drop: Annotated[Float, Field(ge=-1, le=1)] | None = Field(
        default=None, description="Most mAP50 that it lost on a set, beside the model itself; negative is a gain."
    )
    drift_px: Annotated[Float, Field(ge=0)] | None = Field(
        default=None, description="95 of 100 boxes moved by no more, in pixels of the network's input."
    )
    latency_ms: Annotated[Float, Field(ge=0)] | None = Field(
        default=None, description="Median time of one picture where the round ran, in milliseconds."
    )
    reason: Annotated[str, Field(max_length=200)] = Field(default="", description="Why it was not published.")

    def shorter(self) -> Self:
        """The same with half of its words; numbers stay."""
        return self.model_copy(update={"reason": self.reason[: len(self.reason) // 2]})
