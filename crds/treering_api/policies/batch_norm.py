"""`spec.policies.batchNorm`."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from treering_api.fields import Block, Bool, Int
from treering_api.rules import Count, Is, Not, Rule


class BatchNorm(Block):
    """What becomes of the statistics that BatchNorm layers normalise with, in incremental rounds."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            field="alone",
            found="alone: true adapts the statistics, and statistics frozen or tracked leaves them as they are",
            mend="Set statistics: recalibrated, or alone: false",
            expression=Count((Not(Is("alone", True)), Is("statistics", "recalibrated")), least=1),
        ),
    )

    enabled: Bool = Field(default=True, description="Off: the block stands there, but does nothing.")
    statistics: Literal["frozen", "tracked", "recalibrated"] = Field(
        default="recalibrated",
        description="frozen: the published model's; tracked: as training leaves them; recalibrated: measured anew "
        "after training, on new and remembered images as they are (but for layers that freeze holds).",
    )
    images: Annotated[Int, Field(ge=2, le=1_000_000)] = Field(
        default=500, description="Most images to recalibrate on, 2 to 1000000."
    )
    alone: Bool = Field(
        default=False,
        description="Nothing is trained in incremental rounds: the statistics alone adapt. Deliveries then need no "
        "label and no class names, and auto never retrains fully.",
    )
