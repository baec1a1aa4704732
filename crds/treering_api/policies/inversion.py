"""`spec.policies.inversion`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from treering_api.fields import Block, Bool, Float, Int


class Inversion(Block):
    """Draws pictures of old classes from the old model itself, where the round's pictures hardly show them."""

    enabled: Bool = Field(default=True, description="Off: the block stands there, but does nothing.")
    images: Annotated[Int, Field(ge=1, le=10_000)] | None = Field(
        default=None,
        description="Pictures that are drawn, 1 to 10000. Default: 64, and 4 more for each further class, 128 at most.",
    )
    steps: Annotated[Int, Field(ge=2, le=10_000)] = Field(
        default=100,
        description="Steps of gradient descent on a picture, 2 to 10000; three quarters of them at half the size. "
        "Each costs about .44 of an image pass.",
    )
    min_boxes: Annotated[Int, Field(ge=1, le=10_000)] = Field(
        default=20, description="Old classes that fewer boxes show are drawn, 1 to 10000."
    )
    classes: Literal["unmarked", "rare"] = Field(
        default="unmarked",
        description="unmarked: only those that people never marked, as in a merge and in lines that were merged; "
        "rare: all, also where nothing is remembered.",
    )
    confidence: Annotated[Float, Field(ge=0.05, le=0.95)] = Field(
        default=0.3,
        description="From which on what the old model sees in a drawn picture is an object, .05 to .95; what is "
        "fainter is neither object nor background.",
    )
