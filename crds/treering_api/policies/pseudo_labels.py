"""`spec.policies.pseudoLabels`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from treering_api.evaluation import Share
from treering_api.fields import Block, Bool, Float, Int


class PseudoLabels(Block):
    """Each model labels for the other: the old one new images, the new one the memory."""

    enabled: Bool = Field(default=True, description="Off: images keep the labels they came with.")
    confidence: Share | None = Field(
        default=None,
        description="Least confidence at which the old model's boxes are added to new images, 0 to 1. Absent: for each "
        "class the least, from 0.15 to 0.75, at which `precision` is reached on old pictures with people's labels.",
    )
    precision: Annotated[Float, Field(gt=0, le=1)] = Field(
        default=0.9, description="Without confidence: share of such boxes that must be right, above 0, at most 1."
    )
    min_boxes: Annotated[Int, Field(ge=1, le=100_000)] = Field(
        default=20,
        description="Without confidence: right boxes that it takes to measure a class; with fewer it is 0.3. "
        "1 to 100000.",
    )
    ignore_band: Share = Field(
        default=0.2,
        description="Boxes from this confidence up to the least one are neither object nor background: nothing is "
        "learned there about their class. 0 to 1; 1: no such band.",
    )
    mirror: Bool = Field(
        default=True,
        description="Look at the mirror image too; the confidence is the mean of both. Turn it off where a mirrored "
        "object is another one, such as text.",
    )
    overlap: Share = Field(
        default=0.5, description="IoU from which such a box is a duplicate of a true one and is dropped, 0 to 1."
    )
    memory_confidence: Share = Field(
        default=0.5, description="Least confidence at which the new model's boxes are added to the memory, 0 to 1."
    )
    directions: Literal["both", "new", "memory"] = Field(
        default="both", description="Which images get boxes: new ones, the memory, or both."
    )
