"""`spec.policies.distill`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from treering_api.fields import Block, Bool, ClassName, Float, Keyed, WeightsUri

Weight = Annotated[Float, Field(ge=0, le=100)]


class Teacher(Block):
    """A further model that the student listens to."""

    uri: WeightsUri = Field(description="Where the teacher's weights are: an ultralytics .pt, of any size.")
    classes: Annotated[tuple[ClassName, ...], Field(max_length=1000)] = Field(
        default=(), description="Classes it teaches. Empty: all those it shares with the line."
    )


class Distill(Block):
    """Keeps the outputs of the old classes where the published model, or other teachers, had them."""

    enabled: Bool = Field(default=True, description="Off: the block stands there, but does nothing.")
    weight: Weight = Field(default=1.0, description="Of the class term, relative to the detector's own loss; 0 to 100.")
    box_weight: Weight = Field(default=1.0, description="Of the box term (distances of the sides), 0 to 100.")
    feature_weight: Weight = Field(
        default=0.0, description="Of the feature term (ultralytics' own distillation), 0 to 100; 0: off."
    )
    temperature: Annotated[Float, Field(gt=0, le=20)] = Field(
        default=2.0, description="Softens the distributions of the sides' distances, above 0, at most 20."
    )
    background: Literal["labels", "teacher"] = Field(
        default="labels",
        description="What old classes learn from in new images: labels (given and pseudo) and the teacher, or, where "
        "nothing is labelled, the teacher alone.",
    )
    published: Bool = Field(default=True, description="Whether the published model is a teacher.")
    teachers: Annotated[tuple[Teacher, ...], Field(max_length=8), Keyed("uri")] = Field(
        default=(), description="Further teachers, such as a larger model; at most 8."
    )
