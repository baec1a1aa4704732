"""`spec.policies.replay`."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from treering_api.evaluation import Share
from treering_api.fields import Block, Bool, Float, Int
from treering_api.rules import Count, Given, Is, Not, Rule


class Replay(Block):
    """Mixes chosen old images (the memory) into every later round."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            field="ratio",
            found="ratio 0 without maxImages or maxBytes is no memory",
            mend="Give a ratio above 0, or maxImages, or maxBytes, or enabled: false",
            expression=Count(
                (Not(Is("ratio", 0.0)), Given("max_images"), Given("max_bytes"), Is("enabled", False)), least=1
            ),
        ),
    )

    enabled: Bool = Field(default=True, description="Off: no memory is kept or used.")
    ratio: Share = Field(
        default=0.1, description="Memory as a share of the line's train images so far, 0 to 1; 0: the limits alone."
    )
    min_images: Annotated[Int, Field(ge=0, le=1_000_000)] = Field(
        default=200,
        description="Where ratio is less than so many images, the memory is so many: all that was learned, while the "
        "line is small.",
    )
    max_images: Annotated[Int, Field(ge=1, le=1_000_000)] | None = Field(
        default=None, description="Upper limit of the memory in images; with ratio 0 its size. Absent: no limit."
    )
    max_bytes: Annotated[Int, Field(ge=1000, le=1_000_000_000_000)] | None = Field(
        default=None, description="Upper limit of the memory's image files in bytes, 1000 to 10^12. Absent: no limit."
    )
    selection: Literal["classBalanced", "ocdm", "herding", "kmeans", "hard", "random"] = Field(
        default="classBalanced",
        description="How images are chosen: classBalanced and ocdm: rare classes as often as common ones; herding, "
        "kmeans: by the model's own features; hard: where the model agrees least with the labels; random.",
    )
    balance: Literal["increments", "none"] = Field(
        default="increments",
        description="increments: each increment keeps its share of the memory, by its train images, as the line grows; "
        "none: all are chosen from together.",
    )
    unknown: Literal["ignore", "background"] = Field(
        default="ignore",
        description="What remembered images teach of classes that their labels do not speak of: nothing (ignore), or "
        "that there are none of them (background).",
    )
    epoch_share: Annotated[Float, Field(gt=0, le=100)] | None = Field(
        default=None,
        description="Most memory images that an epoch shows, as a multiple of its new ones; every epoch shows others. "
        "Absent: 1 where there are new classes, else 0.5.",
    )
    batch_share: Annotated[Float, Field(gt=0, lt=1)] | None = Field(
        default=None, description="Share of memory images in every batch, between 0 and 1. Absent: as they fall."
    )
