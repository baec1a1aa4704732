"""`spec.policies.classBalance`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from treering_api.evaluation import Share
from treering_api.fields import Block, Bool, Float


class ClassBalance(Block):
    """Lets rare classes count as much as common ones."""

    enabled: Bool = Field(default=True, description="Off: the block stands there, but does nothing.")
    sampling: Literal["none", "repeatFactor", "weighted"] = Field(
        default="repeatFactor",
        description="repeatFactor: images of classes in fewer than `threshold` of the images are shown more often; "
        "weighted: every image as often as its classes are rare; none.",
    )
    threshold: Share = Field(
        default=0.3, description="Share of images below which a class is rare for repeatFactor, 0 to 1."
    )
    max_repeat: Annotated[Float, Field(ge=1, le=100)] = Field(
        default=4.0, description="Most times that an image is shown in an epoch, 1 to 100."
    )
    loss_weights: Literal["none", "inverse", "effective"] = Field(
        default="none",
        description="Weights of the classes in the loss: by inverse root frequency, or by effective number of boxes.",
    )
    beta: Annotated[Float, Field(ge=0, le=0.999999)] = Field(
        default=0.999,
        description="With lossWeights: effective, how soon further boxes of a class add nothing: after about "
        "1 / (1 - beta) of them; 0 to 0.999999.",
    )
    loss: Literal["bce", "focal", "varifocal"] = Field(default="bce", description="Kind of the class loss.")
    gamma: Annotated[Float, Field(ge=0, le=10)] = Field(
        default=1.5, description="Focus of focal and varifocal loss on hard examples, 0 to 10."
    )
    alpha: Share = Field(
        default=0.75, description="Weight of negatives in varifocal, of positives in focal loss, 0 to 1."
    )
