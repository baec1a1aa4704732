"""What a fused detector is beside its members' weights: `fused.json`, written into the artefact and into its ONNX."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Method = Literal["wbf", "softNms", "nms"]
MOST_MEMBERS = 8


class Straightened(BaseModel):
    """A class's confidences made probabilities: sigmoid(slope * logit(confidence) + offset) (Platt 1999)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    slope: float = Field(gt=0)
    offset: float


class Member(BaseModel):
    """One of the detectors.

    Attributes:
        classes: what is taken from it: its own name of a class → the name in the fused detector.
        weight: of its word beside the others'.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    folder: str = Field(pattern=r"^member-[1-8]$")
    source: str = Field(description="the file's name, for people")
    sha256: str = Field(description="of the file that it was read from")
    classes: dict[str, str]
    weight: float = Field(default=1.0, gt=0, le=100)
    straightened: dict[str, Straightened] = Field(default={}, description="by its own class name")


class FusedDescription(BaseModel):
    """A fused detector.

    Attributes:
        classes: in the order of the output.
        overlap: IoU from which boxes of a class are of one object.
        sigma: of softNms: the smaller, the harder are overlapping boxes faded.
        rival_overlap: IoU from which boxes of classes that two members have never compared compete; None: they don't.
        thresholds: by class, confidence below which a box is not given out; 0 where absent.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: int = 1
    image_size: int
    classes: tuple[str, ...]
    members: tuple[Member, ...] = Field(min_length=2, max_length=MOST_MEMBERS)
    method: Method = "wbf"
    overlap: float = Field(default=0.55, gt=0, lt=1)
    sigma: float = Field(default=0.5, gt=0, le=10)
    rival_overlap: float | None = Field(default=0.55, gt=0, lt=1)
    thresholds: dict[str, float] = {}

    @model_validator(mode="after")
    def _one_world(self) -> FusedDescription:
        taken = {name for member in self.members for name in member.classes.values()}
        if taken != set(self.classes) or len(set(self.classes)) != len(self.classes):
            raise ValueError("classes must be what the members give, each once")
        if not set(self.thresholds) <= taken:
            raise ValueError("thresholds must be of its classes")
        return self
