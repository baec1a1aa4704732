"""The contract of Treering: what a user writes, what a round is planned from, what a status says.

Imported by the operator and the trainer alike, and by whoever scripts around them. Pure data and pure functions:
pydantic and yaml only, no network, no clock, no files besides `generate`. What others use is named here; the metric
catalogue stands in `treering_api.metrics`.
"""

from __future__ import annotations

from treering_api.conditions import ConditionType, Reason
from treering_api.errors import BadDataError, BadSpecError, ResumableError, StoreError, TreeringError
from treering_api.exit_codes import ExitCode
from treering_api.explain import explain
from treering_api.fields import seconds
from treering_api.lineage import Hold, Lineage, ModelRef, RoundSummary, Settled, advance, roll_back
from treering_api.load import parse, read
from treering_api.plan import RETRY_ANNOTATION, STAGES, Rollback, RoundPlan, Stage, Waiting, next_round, outstanding
from treering_api.resolve import ResolvedTraining, resolve_training
from treering_api.resource import API_VERSION, GROUP, KIND, VERSION, IncrementalTrain, Metadata
from treering_api.result import RoundResult
from treering_api.spec import (
    CacheVolume,
    CertificateAuthority,
    Compute,
    Discover,
    Donor,
    EnvironmentVariable,
    Evaluation,
    Export,
    Freeze,
    Gate,
    Holdout,
    Increment,
    Model,
    Policies,
    PseudoLabels,
    Replay,
    Resources,
    Spec,
    StoreSpec,
    Toleration,
    Training,
    Verification,
    Volume,
)
from treering_api.status import Condition, ModelStatus, Progress, RoundStatus, Status
from treering_api.unsupported import notices, refuse_unsupported

__all__ = [
    "API_VERSION",
    "GROUP",
    "KIND",
    "RETRY_ANNOTATION",
    "STAGES",
    "VERSION",
    "BadDataError",
    "BadSpecError",
    "CacheVolume",
    "CertificateAuthority",
    "Compute",
    "Condition",
    "ConditionType",
    "Discover",
    "Donor",
    "EnvironmentVariable",
    "Evaluation",
    "ExitCode",
    "Export",
    "Freeze",
    "Gate",
    "Hold",
    "Holdout",
    "Increment",
    "IncrementalTrain",
    "Lineage",
    "Metadata",
    "Model",
    "ModelRef",
    "ModelStatus",
    "Policies",
    "Progress",
    "PseudoLabels",
    "Reason",
    "Replay",
    "ResolvedTraining",
    "Resources",
    "ResumableError",
    "Rollback",
    "RoundPlan",
    "RoundResult",
    "RoundStatus",
    "RoundSummary",
    "Settled",
    "Spec",
    "Stage",
    "Status",
    "StoreError",
    "StoreSpec",
    "Toleration",
    "Training",
    "TreeringError",
    "Verification",
    "Volume",
    "Waiting",
    "advance",
    "explain",
    "next_round",
    "notices",
    "outstanding",
    "parse",
    "read",
    "refuse_unsupported",
    "resolve_training",
    "roll_back",
    "seconds",
]
