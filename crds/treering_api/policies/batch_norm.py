"""`spec.policies.batchNorm`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from treering_api.fields import Block, Bool, Int


class BatchNorm(Block):
    """What becomes of the statistics that BatchNorm layers normalise with."""

    enabled: Bool = Field(default=True, description="Off: the block stands there, but does nothing.")
    statistics: Literal["frozen", "tracked", "recalibrated"] = Field(
        default="recalibrated",
        description="frozen: the published model's; tracked: as training leaves them; recalibrated: measured anew "
        "after training, on new and remembered images as they are.",
    )
    images: Annotated[Int, Field(ge=2, le=1_000_000)] = Field(
        default=500, description="Most images to recalibrate on, 2 to 1000000."
    )
    alone: Bool = Field(
        default=False,
        description="Nothing is trained in incremental rounds: the statistics alone adapt, which needs no label.",
    )
