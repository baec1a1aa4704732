"""The contract of Treering: what a user writes, what a round is planned from, what a status says.

Imported by the operator and the trainer alike, and by whoever scripts around them. Pure data and pure functions:
pydantic and yaml only, no network, no clock, no files besides `generate`. What others use is named here; the metric
catalogue stands in `treering_api.metrics`.
"""

from __future__ import annotations

from treering_api.conditions import ConditionType, Reason
from treering_api.errors import (
    BadDataError,
    BadSpecError,
    OutdatedError,
    ResumableError,
    StoreError,
    TreeringError,
)
from treering_api.exit_codes import ExitCode
from treering_api.explain import explain
from treering_api.fields import seconds
from treering_api.lineage import Hold, Lineage, ModelRef, RoundSummary, Settled, advance, roll_back
from treering_api.load import parse, read
from treering_api.looking import Delivery, LookPlan, LookResult
from treering_api.mirror import Mirror, MirrorIncrement, MirrorModel
from treering_api.plan import (
    RETRY_ANNOTATION,
    STAGES,
    Rollback,
    RollbackPlan,
    RoundPlan,
    Stage,
    Waiting,
    next_round,
    outstanding,
)
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
from treering_api.status import (
    Condition,
    Discovered,
    Discovery,
    Failure,
    ModelStatus,
    Progress,
    RoundStatus,
    SettledIncrement,
    Status,
    Stopped,
    StoreStatus,
    Unanswered,
)
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
    "Delivery",
    "Discover",
    "Discovered",
    "Discovery",
    "Donor",
    "EnvironmentVariable",
    "Evaluation",
    "ExitCode",
    "Export",
    "Failure",
    "Freeze",
    "Gate",
    "Hold",
    "Holdout",
    "Increment",
    "IncrementalTrain",
    "Lineage",
    "LookPlan",
    "LookResult",
    "Metadata",
    "Mirror",
    "MirrorIncrement",
    "MirrorModel",
    "Model",
    "ModelRef",
    "ModelStatus",
    "OutdatedError",
    "Policies",
    "Progress",
    "PseudoLabels",
    "Reason",
    "Replay",
    "ResolvedTraining",
    "Resources",
    "ResumableError",
    "Rollback",
    "RollbackPlan",
    "RoundPlan",
    "RoundResult",
    "RoundStatus",
    "RoundSummary",
    "Settled",
    "SettledIncrement",
    "Spec",
    "Stage",
    "Status",
    "Stopped",
    "StoreError",
    "StoreSpec",
    "StoreStatus",
    "Toleration",
    "Training",
    "TreeringError",
    "Unanswered",
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
