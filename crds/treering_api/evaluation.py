"""`spec.evaluation` and `spec.verification`: what a model and a delivery must prove.

Scores are mAP50 between 0 and 1; a point is a hundredth.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from treering_api.fields import MAX_CLASSES, MAX_HOLDOUTS, Block, ClassName, Float, Int, Keyed, Name, Uri

Share = Annotated[Float, Field(ge=0, le=1)]


class Holdout(Block):
    """A validation set that never enters training."""

    name: Name = Field(description="Name of the set; unique in the line.")
    uri: Uri = Field(
        description="Its folder in a store, in a format as for increments; every split counts as validation."
    )
    classes: Annotated[dict[ClassName, ClassName], Field(max_length=200)] = Field(
        default_factory=dict, description="Renames: class name in the set to class name in the line. At most 200."
    )


class Gate(Block):
    """What a candidate must reach to be published."""

    max_forgetting: Share = Field(
        default=0.03, description="mAP50 that old classes may lose on average, 0 to 1 (0.03 = 3 points)."
    )
    max_class_forgetting: Share | None = Field(
        default=None, description="mAP50 that any single old class may lose, 0 to 1. Absent: not checked."
    )
    min_gain: Share | None = Field(
        default=None,
        description="mAP50 that the round's new classes must reach, 0 to 1. Absent, or where a round brings no new "
        "class: not checked.",
    )
    class_floor: Annotated[dict[ClassName, Share], Field(max_length=MAX_CLASSES)] = Field(
        default_factory=dict, description="Lowest mAP50 allowed by class name, 0 to 1."
    )
    on_reject: Literal["keep", "hold", "retrainFull"] = Field(
        default="keep",
        description="After a rejected round: keep the previous model and go on with the next increment, hold the line "
        "until a person decides, or retrain over all increments at once.",
    )


class Evaluation(Block):
    """How models are compared."""

    holdouts: Annotated[tuple[Holdout, ...], Field(max_length=MAX_HOLDOUTS), Keyed("name")] = Field(
        default=(), description="Validation sets of the line, at most 16. Each increment's own val split is added."
    )
    val_fraction: Annotated[Float, Field(ge=0, lt=1)] = Field(
        default=0.1,
        description="Share of an increment that is held back for validation where it has no val split and the line "
        "has no hold-out; 0 to below 1.",
    )
    gate: Gate = Field(default_factory=Gate, description="What a candidate must reach to be published.")


class Verification(Block):
    """When a delivery is too dirty to learn from."""

    max_quarantined: Share = Field(
        default=0.01, description="Share of a data set's images that may be set aside before the round stops, 0 to 1."
    )
    missing_labels: Literal["quarantine", "background", "unlabelled"] = Field(
        default="quarantine",
        description="What an image without a label file is: set aside; background; or unlabelled: nobody looked at it, "
        "and the published model, or the donors of a merge, label it. Empty label files are always background.",
    )
    min_box_px: Annotated[Float, Field(ge=0, le=1024)] = Field(
        default=1.0, description="Shortest side of a box that is still believed, in pixels of the image."
    )
    near_duplicate_bits: Annotated[Int, Field(ge=0, le=32)] = Field(
        default=4, description="Bits of 64 by which perceptual hashes of near duplicates differ at most; 0: equal only."
    )
