"""`spec.increments` and `spec.discover`: what the line learns from, in order."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from treering_api.fields import Block, ClassName, Duration, Int, Name, Uri

RenameMap = Annotated[dict[ClassName, ClassName], Field(max_length=200)]


class Increment(Block):
    """One delivery of new images and labels: a folder in YOLO layout, COCO, Pascal VOC, CVAT or Label Studio."""

    name: Name = Field(description="Name of the delivery; unique in the line, unchangeable once it was trained.")
    uri: Uri = Field(description="Its folder in a store; the format is recognised (docs/data.md).")
    classes: RenameMap = Field(
        default_factory=dict,
        description="Renames: class name in the delivery to class name in the line. At most 200.",
    )


class Discover(Block):
    """Finds deliveries by itself; on a cluster only."""

    uri: Uri = Field(description="Folder whose sub-folders are deliveries, taken in the order of their names.")
    min_images: Int = Field(
        default=1, ge=1, le=10_000_000, description="New images that must have come before a round starts, in images."
    )
    max_wait: Duration = Field(
        default="7d", description="A delivery older than this starts a round even below minImages."
    )
    interval: Duration = Field(default="15m", description="Time between two looks.")
