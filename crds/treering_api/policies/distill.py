"""`spec.policies.distill`."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from treering_api.fields import Block, Bool, CheckpointUri, ClassName, Float, Int, Keyed
from treering_api.rules import Count, Filled, Is, Rule

Weight = Annotated[Float, Field(ge=0, le=100)]


class Teacher(Block):
    """A further model that the student listens to."""

    uri: CheckpointUri = Field(
        description="Where the teacher's weights are: an ultralytics .pt of any size, in a store or by official name."
    )
    classes: Annotated[tuple[ClassName, ...], Field(max_length=1000)] = Field(
        default=(), description="Classes it teaches, by the line's names. Empty: all those it shares with the line."
    )


class Distill(Block):
    """Keeps the outputs of the old classes where the published model, or other teachers, had them."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            field="published",
            found="nobody teaches: the published model is not to, and there are no further teachers",
            mend="Set published: true, list teachers, or set enabled: false",
            expression=Count((Is("published", True), Filled("teachers"), Is("enabled", False)), least=1),
        ),
    )

    enabled: Bool = Field(default=True, description="Off: the block stands there, but does nothing.")
    weight: Weight = Field(
        default=1.0, description="Of the class term, 0 to 100; 1: about as strong as the detector's own class loss."
    )
    box_weight: Weight = Field(
        default=1.0,
        description="Of the box term, 0 to 100; 1: about as strong as the detector's own loss of sides.",
    )
    feature_weight: Weight = Field(
        default=0.0, description="Of the feature term, 0 to 100; 1: as strong as ultralytics' own distillation; 0: off."
    )
    temperature: Annotated[Float, Field(gt=0, le=20)] = Field(
        default=2.0, description="Softens the distributions of the sides' distances, above 0, at most 20."
    )
    background: Literal["labels", "teacher"] = Field(
        default="labels",
        description="What old classes learn from in new images: labels (given and pseudo) and the teacher, or, where "
        "nothing is labelled, the teacher alone.",
    )
    published: Bool = Field(
        default=True,
        description="Whether the published model is a teacher in incremental rounds; in a merge, every donor.",
    )
    teachers: Annotated[tuple[Teacher, ...], Field(max_length=8), Keyed("uri")] = Field(
        default=(), description="Further teachers, such as a larger model, in every round; at most 8."
    )
    cache_mib: Int = Field(
        default=512,
        ge=0,
        le=1_048_576,
        description="Memory (MiB) for what teachers said of images that are always shown alike; used only where all "
        "augmentation is off; 0 to 1048576.",
    )
