"""`spec.policies.linearProbe`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from treering_api.fields import Block, Bool, Int


class LinearProbe(Block):
    """Gives new classes a head start: their rows of the head are fitted to the images before training begins."""

    enabled: Bool = Field(default=True, description="Off: the block stands there, but does nothing.")
    images: Annotated[Int, Field(ge=1, le=100_000)] = Field(
        default=1000,
        description="Most new images that are looked at, and as many remembered ones, 1 to 100000; each once, without "
        "augmentation.",
    )
    steps: Annotated[Int, Field(ge=1, le=100_000)] = Field(
        default=300, description="Steps of the fit, on what the network says of those images; 1 to 100000."
    )
    rounds: Literal["incremental", "all"] = Field(
        default="all", description="Only in incremental rounds, or in full trainings, too."
    )
