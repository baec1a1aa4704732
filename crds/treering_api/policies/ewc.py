"""`spec.policies.ewc`."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from treering_api.evaluation import Share
from treering_api.fields import Block, Bool, Float, Int


class Ewc(Block):
    """Holds the weights that mattered for what was learned near where they were (elastic weight consolidation)."""

    enabled: Bool = Field(default=True, description="Off: the block stands there, but does nothing.")
    strength: Annotated[Float, Field(gt=0, le=1_000_000)] = Field(
        default=10.0,
        description="Pull at a weight of mean importance that drifted by its tensor's typical size, in times the pull "
        "of one image's loss; above 0, at most 1000000.",
    )
    decay: Share = Field(
        default=0.9, description="What the importance of earlier rounds counts beside the last one's, 0 to 1."
    )
    huber: Annotated[Float, Field(gt=0, le=1000)] = Field(
        default=0.1,
        description="Drift of a weight, as a share of its tensor's typical (root mean square) size, from which the "
        "penalty grows linearly instead of quadratically; above 0, at most 1000.",
    )
    images: Annotated[Int, Field(ge=1, le=100_000)] = Field(
        default=200,
        description="Most new and remembered images that the importance is measured on after a round, 1 to 100000.",
    )
