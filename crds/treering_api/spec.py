"""`spec`: everything a user says about a line. The blocks stand in modules of their own and are re-exported here."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from treering_api.cases import Cases, Unlabelled
from treering_api.compute import (
    CacheVolume,
    Compute,
    EnvironmentVariable,
    Resources,
    Toleration,
    Volume,
)
from treering_api.deliveries import Discover, Increment
from treering_api.evaluation import Evaluation, Gate, Holdout, Verification
from treering_api.fields import MAX_INCREMENTS, Block, Bool, Duration, Int, Keyed, Name
from treering_api.model import CertificateAuthority, Donor, Model, StoreSpec
from treering_api.policies import (
    BatchNorm,
    ClassBalance,
    Distill,
    Ewc,
    Freeze,
    Inversion,
    LinearProbe,
    Policies,
    PseudoLabels,
    Replay,
    Teacher,
    Unfreeze,
    UnfreezeStage,
    WeightMerge,
)
from treering_api.retrain import Retrain
from treering_api.rules import Apart, Count, Filled, Given, Rule
from treering_api.training import Export, Parity, Training

__all__ = [
    "BatchNorm",
    "CacheVolume",
    "Cases",
    "CertificateAuthority",
    "ClassBalance",
    "Compute",
    "Discover",
    "Distill",
    "Donor",
    "EnvironmentVariable",
    "Evaluation",
    "Ewc",
    "Export",
    "Freeze",
    "Gate",
    "Holdout",
    "Increment",
    "Inversion",
    "LinearProbe",
    "Model",
    "Parity",
    "Policies",
    "PseudoLabels",
    "Replay",
    "Resources",
    "Retrain",
    "Spec",
    "StoreSpec",
    "Teacher",
    "Toleration",
    "Training",
    "Unfreeze",
    "UnfreezeStage",
    "Unlabelled",
    "Verification",
    "Volume",
    "WeightMerge",
]


class Spec(Block):
    """A line: a model that grows by one increment after the other."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            field="increments",
            found="nothing to learn from",
            mend="List at least one increment, or give discover a folder to look into",
            expression=Count((Filled("increments"), Given("discover")), least=1),
        ),
        Rule(
            field="evaluation.holdouts",
            found="a hold-out has the URI of an increment",
            mend="Hold-outs never enter training: give each a folder of its own",
            expression=Apart("evaluation.holdouts", "increments", "uri"),
        ),
    )

    model: Model = Field(description="What the first round starts from.")
    store: StoreSpec = Field(description="Where the line lives.")
    increments: Annotated[tuple[Increment, ...], Field(max_length=MAX_INCREMENTS), Keyed("name")] = Field(
        default=(),
        description="Deliveries, each trained once and in this order; append new ones at the end. At most 1000.",
    )
    discover: Discover | None = Field(default=None, description="Find deliveries in a folder. Absent: only increments.")
    evaluation: Evaluation = Field(default_factory=Evaluation, description="How models are compared and gated.")
    verification: Verification = Field(default_factory=Verification, description="When a delivery is too dirty.")
    strategy: Literal["auto", "incremental", "full"] = Field(
        default="auto",
        description="incremental: learn the new on top of the old; full: joint training over all increments; "
        "auto: decided from what was measured, with the reason in the status.",
    )
    retrain: Retrain | None = Field(
        default=None, description="Learn everything anew now and then. Absent: only when strategy says so."
    )
    policies: Policies = Field(default_factory=Policies, description="Ways to learn and to remember.")
    training: Training = Field(default_factory=Training, description="How one round trains.")
    export: Export = Field(default_factory=Export, description="Further formats of the published model.")
    cases: Cases | None = Field(
        default=None, description="Pictures to look at and to label that each round collects. Absent: none."
    )
    compute: Compute = Field(default_factory=Compute, description="The pods that rounds run in.")
    queue: Name | None = Field(
        default=None, description="Kueue LocalQueue that admits the rounds' Jobs. Absent: no queue."
    )
    suspend: Bool = Field(default=False, description="No new round starts; a running one is stopped and goes on later.")
    retries: Annotated[Int, Field(ge=0, le=100)] = Field(
        default=3, description="Further attempts at a round after failures that may pass by themselves, 0 to 100."
    )
    deadline: Duration | None = Field(
        default=None, description="Longest time of one attempt at a round. Absent: no limit."
    )
    history_limit: Annotated[Int, Field(ge=1, le=50)] = Field(
        default=10, description="Finished rounds shown in the status, 1 to 50; the store keeps all."
    )
    ttl: Duration | None = Field(
        default=None, description="How long the Job of a finished round stays. Absent: as long as historyLimit says."
    )
    rollback_to: Annotated[Int, Field(ge=1, le=1_000_000)] | None = Field(
        default=None,
        description="Number of the round whose model is to be the line's model again; nothing is learned while it "
        "stands here. Absent: the last published one.",
    )
