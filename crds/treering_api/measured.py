"""What a round measured before it trained, in the few numbers that a status and a termination message have room for."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import ConfigDict, Field

from treering_api.fields import Block, Float, Int

WARNINGS = 5
WARNING_LENGTH = 200
Words = Annotated[str, Field(max_length=WARNING_LENGTH)]
Ratio = Annotated[Float, Field(ge=0, le=1)]


class MeasuredDelivery(Block):
    """The delivery against what was learned before; fields of a newer trainer are let through unread."""

    model_config = ConfigDict(extra="ignore")

    drift: Ratio | None = Field(
        default=None,
        description="How well a classifier tells new images from old ones (AUC): 0.5 not at all, 1 always. Absent: "
        "too few images are known.",
    )
    drift_p: Ratio | None = Field(default=None, description="How often chance does as well, 0 to 1.")
    drifted_class: Annotated[str, Field(max_length=100)] = Field(
        default="", description="The class that moved farthest beyond chance. Empty: none did."
    )
    warnings: Annotated[tuple[Words, ...], Field(max_length=WARNINGS)] = Field(
        default=(), description="What a person should look at; the first 5."
    )
    warning_count: Annotated[Int, Field(ge=0, le=1000)] = Field(default=0, description="How many there are.")
    would_change: Annotated[tuple[Words, ...], Field(max_length=3)] = Field(
        default=(), description="What would have changed the choice of the strategy; the first 3."
    )

    def shorter(self) -> Self:
        """The same with less for people; unchanged where nothing is left to leave out."""
        if self.would_change:
            return self.model_copy(update={"would_change": ()})
        return self.model_copy(update={"warnings": self.warnings[: len(self.warnings) // 2]})

    @property
    def drift_share(self) -> float:
        """Drift beyond chance: 0 at AUC .5, 1 at AUC 1; what `spec.retrain.driftSum` adds up."""
        return 0.0 if self.drift is None else max(0.0, 2 * self.drift - 1)
