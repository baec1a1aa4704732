"""Condition types and their reasons: the fixed vocabulary of a status.

Ready, Reconciling and Stalled are what kstatus (kubectl wait, Flux, Argo CD) reads; the others are Treering's own.
"""

from __future__ import annotations

from enum import StrEnum

from treering_api.exit_codes import ExitCode


class ConditionType(StrEnum):
    """What a condition is about."""

    READY = "Ready"
    RECONCILING = "Reconciling"
    STALLED = "Stalled"
    TRAINING = "Training"
    SUSPENDED = "Suspended"
    PUBLISHED = "Published"


class Reason(StrEnum):
    """Why a condition is as it is; CamelCase, stable, bounded."""

    UP_TO_DATE = "UpToDate"
    NOTHING_DELIVERED = "NothingDelivered"
    NEW_INCREMENT = "NewIncrement"
    QUEUED = "Queued"
    UNSCHEDULABLE = "Unschedulable"
    NOT_STARTING = "NotStarting"
    STOPPING = "Stopping"
    ROLLING_BACK = "RollingBack"
    WAITING_FOR_DELIVERIES = "WaitingForDeliveries"
    ROUND_RUNNING = "RoundRunning"
    ROUND_FINISHED = "RoundFinished"
    NO_ROUND = "NoRound"
    RETRYING = "Retrying"
    SUSPENDED = "Suspended"
    NOT_SUSPENDED = "NotSuspended"
    HELD = "Held"
    ROLLED_BACK = "RolledBack"
    DEADLINE_EXCEEDED = "DeadlineExceeded"
    RETRIES_EXHAUSTED = "RetriesExhausted"
    OUT_OF_MEMORY = "OutOfMemory"
    NAME_TAKEN = "NameTaken"
    NO_MODEL = "NoModel"
    PROGRESSING = "Progressing"
    HEALTHY = "Healthy"
    SUCCEEDED = ExitCode.SUCCESS.reason
    INTERNAL_ERROR = ExitCode.INTERNAL.reason
    BAD_SPEC = ExitCode.BAD_SPEC.reason
    BAD_DATA = ExitCode.BAD_DATA.reason
    STORE_UNREACHABLE = ExitCode.STORE.reason
    REJECTED = ExitCode.REJECTED.reason
    OUTDATED = ExitCode.OUTDATED.reason
    INTERRUPTED = ExitCode.RESUMABLE.reason


REASON_PATTERN = r"^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$"
