"""`spec.policies`: named ways to learn and to remember, as optional blocks; presets fill in the rest.

One module per policy. `BLOCKS` is the list of all of them; the trainer's registry has the same fields.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal, Self

from pydantic import Field
from pydantic.alias_generators import to_camel

from treering_api.fields import Block
from treering_api.policies.batch_norm import BatchNorm
from treering_api.policies.class_balance import ClassBalance
from treering_api.policies.distill import Distill, Teacher
from treering_api.policies.ewc import Ewc
from treering_api.policies.freeze import Freeze
from treering_api.policies.inversion import Inversion
from treering_api.policies.linear_probe import LinearProbe
from treering_api.policies.pseudo_labels import PseudoLabels
from treering_api.policies.replay import Replay
from treering_api.policies.unfreeze import Unfreeze, UnfreezeStage
from treering_api.policies.weight_merge import WeightMerge
from treering_api.rules import Count, Given, Is, Not, Rule

__all__ = [
    "BLOCKS",
    "BatchNorm",
    "ClassBalance",
    "Distill",
    "Ewc",
    "Freeze",
    "Inversion",
    "LinearProbe",
    "Policies",
    "PseudoLabels",
    "Replay",
    "Teacher",
    "Unfreeze",
    "UnfreezeStage",
    "WeightMerge",
]

BLOCKS = (
    "freeze", "unfreeze", "batch_norm", "linear_probe", "replay", "pseudo_labels", "inversion", "distill", "ewc",
    "class_balance", "weight_merge",
)  # fmt: skip
"""Fields of `Policies` that are policies."""


class Policies(Block):
    """Which policies act. Explicit fields win over the preset."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            field="batch_norm.statistics",
            found="freeze.batchNorm: all holds every statistic that batchNorm would measure anew",
            mend="Set batchNorm.statistics: frozen, or another freeze.batchNorm",
            expression=Count(
                (
                    Not(Is("freeze.batch_norm", "all")),
                    Is("freeze.enabled", False),
                    Not(Given("batch_norm")),
                    Is("batch_norm.enabled", False),
                    Is("batch_norm.statistics", "frozen"),
                    Is("batch_norm.statistics", "tracked"),
                ),
                least=1,
            ),
        ),
        Rule(
            field="replay",
            found="replay needs pictures of earlier rounds, and memory: none keeps none",
            mend="Leave replay out, or write enabled: false in it, or memory: images",
            expression=Count(
                (Not(Is("memory", "none")), Not(Given("replay")), Is("replay.enabled", False)),
                least=1,
            ),
        ),
    )

    preset: Literal["retain", "none"] = Field(
        default="retain",
        description="retain: linearProbe, replay, pseudoLabels, inversion with their defaults, and, after rounds "
        "without new classes, weightMerge at three quarters of the way; none: only what stands here.",
    )
    memory: Literal["images", "none"] = Field(
        default="images",
        description="What the line's store keeps of pictures. images: the replay memory, increments' val pictures, the "
        "worst pictures in reports; none: no picture at all. Then there is no replay, and only hold-outs show "
        "forgetting.",
    )
    freeze: Freeze | None = Field(default=None, description="Keep a part of the network as it is.")
    unfreeze: Unfreeze | None = Field(default=None, description="Let the network learn part by part, from the top.")
    batch_norm: BatchNorm | None = Field(default=None, description="Hold or renew the statistics of BatchNorm.")
    linear_probe: LinearProbe | None = Field(default=None, description="Fit new classes' rows before training begins.")
    replay: Replay | None = Field(default=None, description="Keep chosen old images and show them again.")
    pseudo_labels: PseudoLabels | None = Field(default=None, description="Let old and new model label for each other.")
    inversion: Inversion | None = Field(default=None, description="Let the old model draw what no picture shows.")
    distill: Distill | None = Field(default=None, description="Keep the old classes' outputs where they were.")
    ewc: Ewc | None = Field(default=None, description="Hold important weights near where they were.")
    class_balance: ClassBalance | None = Field(default=None, description="Let rare classes count as much as others.")
    weight_merge: WeightMerge | None = Field(default=None, description="Go back from the new weights, part of the way.")

    def resolve(self) -> Self:
        """A new object in which the preset's blocks are filled in and `preset` is `none`; blocks that stand win."""
        if self.preset == "none":
            return self
        filled = {
            "preset": "none",
            "linear_probe": self.linear_probe or LinearProbe(),
            "replay": self.replay or (Replay() if self.memory == "images" else None),
            "pseudo_labels": self.pseudo_labels or PseudoLabels(),
            "inversion": self.inversion or Inversion(),
            "weight_merge": self.weight_merge or WeightMerge(share=0.75, rounds="sameClasses", recalibrate=False),
        }
        return self.model_copy(update=filled)

    @property
    def trains(self) -> bool:
        """Whether incremental rounds train weights; not where BatchNorm's statistics are to adapt alone."""
        return self.batch_norm is None or not (self.batch_norm.enabled and self.batch_norm.alone)

    def with_chosen(self, chosen: Mapping[str, Mapping[str, Any]]) -> Self:
        """A new object with blocks that `strategy: auto` chose, by field; blocks that stand win, `none` takes none."""
        if self.preset == "none":
            return self
        free = {name: block for name, block in chosen.items() if getattr(self, name) is None}
        added = Policies.model_validate(free)
        return self.model_copy(update={name: getattr(added, name) for name in free})

    def active(self) -> tuple[str, ...]:
        """Names (as in YAML) of the blocks that act after `resolve()`, in the order of `BLOCKS`."""
        blocks = {name: getattr(self, name) for name in BLOCKS}
        return tuple(to_camel(name) for name, block in blocks.items() if block is not None and block.enabled)
