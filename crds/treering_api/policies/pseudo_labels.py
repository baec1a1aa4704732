"""`spec.policies.pseudoLabels`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from treering_api.evaluation import Share
from treering_api.fields import Block, Bool


class PseudoLabels(Block):
    """Each model labels for the other: the old one new images, the new one the memory."""

    enabled: Bool = Field(default=True, description="Off: images keep the labels they came with.")
    confidence: Share = Field(
        default=0.3, description="Least confidence at which the old model's boxes are added to new images, 0 to 1."
    )
    mirror: Bool = Field(
        default=True,
        description="Look at the mirror image too; the confidence is the mean of both. Turn it off where a mirrored "
        "object is another one, such as text.",
    )
    overlap: Share = Field(
        default=0.5, description="IoU over which such a box is a duplicate of a true one and is dropped, 0 to 1."
    )
    memory_confidence: Share = Field(
        default=0.5, description="Least confidence at which the new model's boxes are added to the memory, 0 to 1."
    )
    directions: Literal["both", "new", "memory"] = Field(
        default="both", description="Which images get boxes: new ones, the memory, or both."
    )
