"""`spec.policies.unfreeze`."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from treering_api.fields import Block, Bool, Float, Int
from treering_api.rules import Count, Filled, Is, Not, Rule

Factor = Annotated[Float, Field(gt=0, le=100)]


class UnfreezeStage(Block):
    """A part of a round's training in which some of the network learns."""

    learns: Literal["head", "neck", "backbone", "all"] = Field(
        description="What learns: the head; neck too; the last backboneLayers of the backbone too; everything."
    )
    backbone_layers: Annotated[Int, Field(ge=1, le=200)] = Field(
        default=3, description="With learns: backbone, how many of its layers learn, counted from the neck; 1 to 200."
    )
    share: Annotated[Float, Field(gt=0, le=1)] = Field(
        default=1.0, description="Share of the epochs, above 0, at most 1; the shares of all stages are scaled to 1."
    )
    learning_rate_factor: Factor = Field(default=1.0, description="Times the round's learning rate, above 0 to 100.")
    batch_factor: Annotated[Int, Field(ge=1, le=16)] = Field(
        default=1, description="Times the round's batch; what is frozen needs no memory. 1 to 16."
    )
    weight_decay_factor: Factor = Field(default=1.0, description="Times the round's weight decay, above 0 to 100.")


class Unfreeze(Block):
    """Learns from the top down: the head first, then neck and backbone."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            field="stages",
            found="schedule custom without stages",
            mend="List at least one stage, or choose another schedule",
            expression=Count((Filled("stages"), Is("schedule", "topDown"), Is("schedule", "twoStage")), least=1),
        ),
        Rule(
            field="stages",
            found="stages stand there, and schedule is not custom",
            mend="Set schedule: custom, or remove stages",
            expression=Count((Not(Filled("stages")), Is("schedule", "custom")), least=1),
        ),
    )

    enabled: Bool = Field(default=True, description="Off: the block stands there, but does nothing.")
    schedule: Literal["topDown", "twoStage", "custom"] = Field(
        default="twoStage",
        description="topDown: head, then neck, then all; twoStage: head and neck, then all; custom: stages.",
    )
    stages: Annotated[tuple[UnfreezeStage, ...], Field(max_length=8)] = Field(
        default=(), description="Stages of a custom schedule, in order; at most 8."
    )
    rounds: Literal["incremental", "all"] = Field(
        default="incremental", description="Only in incremental rounds, or in full trainings, too."
    )
