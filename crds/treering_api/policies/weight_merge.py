"""`spec.policies.weightMerge`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from treering_api.fields import Block, Bool, Float, Int


class WeightMerge(Block):
    """After training, the point between the old and the new weights that serves best."""

    enabled: Bool = Field(default=True, description="Off: the block stands there, but does nothing.")
    by: Literal["model", "part"] = Field(
        default="model",
        description="One point for the whole network, or from there one each for backbone, neck and head, in turn.",
    )
    share: Annotated[Float, Field(gt=0, le=1)] | None = Field(
        default=None,
        description="How far to go from the old weights (0) to the new ones (1), without a search. Absent: searched.",
    )
    rounds: Literal["all", "sameClasses"] = Field(
        default="all",
        description="all: after every incremental round; sameClasses: only where a round brings no new class.",
    )
    points: Annotated[Int, Field(ge=2, le=101)] = Field(
        default=5, description="Points tried on each line from old (0) to new (1), both ends included; 2 to 101."
    )
    measure: Literal["memory", "val"] = Field(
        default="memory",
        description="What points are measured on: remembered and new images as they are, or the increments' val sets "
        "(where there are none, as memory); never hold-outs. Old and new classes count half each.",
    )
    images: Annotated[Int, Field(ge=1, le=100_000)] = Field(
        default=100, description="Most images of each kind (old, new) to measure on, 1 to 100000."
    )
    recalibrate: Bool = Field(
        default=True, description="Measure the BatchNorm statistics of each point between the ends anew."
    )
