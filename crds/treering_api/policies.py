"""`spec.policies`: named ways to learn and to remember, as optional blocks; presets fill in the rest."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field

from treering_api.evaluation import Share
from treering_api.fields import Block, Bool, Float, Int
from treering_api.rules import Count, Filled, Given, Is, Not, Rule


class Freeze(Block):
    """Keeps a part of the network as it is. Give at least one of layers, backbone, names."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            field="",
            found="freeze names nothing to freeze",
            mend="Give at least one of layers (such as 10), backbone: true, or names",
            expression=Count((Given("layers"), Is("backbone", True), Filled("names")), least=1),
        ),
    )

    enabled: Bool = Field(default=True, description="Off: the block stands there, but does nothing.")
    layers: Annotated[Int, Field(ge=1, le=200)] | None = Field(
        default=None, description="The first N layers are frozen, 1 to 200."
    )
    backbone: Bool = Field(default=False, description="The whole backbone is frozen.")
    names: Annotated[tuple[Annotated[str, Field(min_length=1, max_length=200)], ...], Field(max_length=100)] = Field(
        default=(),
        description="Layers by index, with an optional path below (4, 22.cv2); all of each is frozen. At most 100.",
    )
    batch_norm: Literal["frozenLayers", "all", "none"] = Field(
        default="frozenLayers", description="Whose BatchNorm statistics stand still: frozen layers', all, or none."
    )
    rounds: Literal["incremental", "all"] = Field(
        default="incremental", description="Only in incremental rounds, or in full trainings, too."
    )


class Replay(Block):
    """Mixes chosen old images (the memory) into every later round."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            field="ratio",
            found="ratio 0 without maxImages is no memory",
            mend="Give a ratio above 0, or maxImages, or enabled: false",
            expression=Count((Not(Is("ratio", 0.0)), Given("max_images"), Is("enabled", False)), least=1),
        ),
    )

    enabled: Bool = Field(default=True, description="Off: no memory is kept or used.")
    ratio: Share = Field(
        default=0.1, description="Memory as a share of the line's train images so far, 0 to 1; 0: maxImages alone."
    )
    max_images: Annotated[Int, Field(ge=1, le=1_000_000)] | None = Field(
        default=None, description="Upper limit of the memory in images; with ratio 0 its size. Absent: no limit."
    )
    selection: Literal["classBalanced", "herding", "kmeans", "random"] = Field(
        default="classBalanced", description="How images are chosen for the memory."
    )
    batch_share: Annotated[Float, Field(gt=0, lt=1)] | None = Field(
        default=None, description="Share of memory images in every batch, between 0 and 1. Absent: as they fall."
    )


class PseudoLabels(Block):
    """Each model labels for the other: the old one new images, the new one the memory."""

    enabled: Bool = Field(default=True, description="Off: images keep the labels they came with.")
    confidence: Share = Field(
        default=0.3, description="Least confidence at which the old model's boxes are added to new images, 0 to 1."
    )
    mirror: Bool = Field(
        default=True,
        description="Look at the mirror image too; the confidence is the mean of both. Turn it off where a mirrored "
        "object is another one, such as text.",
    )
    overlap: Share = Field(
        default=0.5, description="IoU over which such a box is a duplicate of a true one and is dropped, 0 to 1."
    )
    memory_confidence: Share = Field(
        default=0.5, description="Least confidence at which the new model's boxes are added to the memory, 0 to 1."
    )
    directions: Literal["both", "new", "memory"] = Field(
        default="both", description="Which images get boxes: new ones, the memory, or both."
    )


class Policies(Block):
    """Which policies act. Explicit fields win over the preset."""

    preset: Literal["retain", "none"] = Field(
        default="retain",
        description="retain: replay and pseudo-labels with their defaults; none: only what stands here.",
    )
    freeze: Freeze | None = Field(default=None, description="Keep a part of the network as it is.")
    replay: Replay | None = Field(default=None, description="Keep chosen old images and show them again.")
    pseudo_labels: PseudoLabels | None = Field(default=None, description="Let old and new model label for each other.")

    def resolve(self) -> Self:
        """A new object in which the preset's blocks are filled in and `preset` is `none`; blocks that stand win."""
        if self.preset == "none":
            return self
        filled = {
            "preset": "none",
            "replay": self.replay or Replay(),
            "pseudo_labels": self.pseudo_labels or PseudoLabels(),
        }
        return self.model_copy(update=filled)

    def active(self) -> tuple[str, ...]:
        """Names (as in YAML) of the blocks that act after `resolve()`, in the order of this class."""
        blocks = {"freeze": self.freeze, "replay": self.replay, "pseudoLabels": self.pseudo_labels}
        return tuple(name for name, block in blocks.items() if block is not None and block.enabled)
