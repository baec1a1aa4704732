"""Telling in a line's status that the operator itself could not do what it decided: never only in a log.

Used by `reconcile` for what the API server refuses (a Job that is against a policy or over a quota), for children that
can't be built, and for faults of the operator. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

from treering_api import Condition, ConditionType, ExitCode, Reason, Status, TreeringError
from treering_operator.cluster.errors import ApiError, ForbiddenError, InvalidError
from treering_operator.decide.salvage import salvage
from treering_operator.decide.wording import cut, moment

_MESSAGE_LENGTH = 2048


def describe(error: Exception) -> tuple[str, str] | None:
    """Reason and message of a trouble that the user must see; None for one that passes by itself."""
    if isinstance(error, TreeringError):
        return error.exit_code.reason, str(error)
    if isinstance(error, InvalidError):
        return (
            Reason.BAD_SPEC.value,
            f"spec: the API server refuses what follows from it: {error.message}. {ExitCode.BAD_SPEC.advice}",
        )
    if isinstance(error, ForbiddenError):
        return (
            Reason.NOT_STARTING.value,
            f"the API server does not allow it: {error.message}. Mend the quota, policy or role that it names; "
            "it is tried again by itself",
        )
    if isinstance(error, ApiError):
        return None
    return (
        Reason.INTERNAL_ERROR.value,
        f"{type(error).__name__}: {error}. A fault of Treering: please report it with the operator's log; "
        "it is tried again by itself",
    )


def reason_of(error: Exception) -> str:
    """The error's word in the metrics: of a fixed set."""
    if isinstance(error, ApiError):
        return error.reason if error.reason.isalpha() and len(error.reason) < 32 else "ApiError"
    return error.exit_code.reason if isinstance(error, TreeringError) else Reason.INTERNAL_ERROR.value


def stalled(
    status: Status, generation: int, reason: str, message: str, now: datetime, *, before: Status | None = None
) -> Status:
    """The status, saying that the line is stalled and why; everything else stays as it was.

    Args:
        before: as it was last written: a trouble that lasts begins once, not with each try; None: `status` itself.
    """
    told = {
        ConditionType.READY: "False",
        ConditionType.RECONCILING: "False",
        ConditionType.STALLED: "True",
    }
    known = {condition.type: condition for condition in (before or status).conditions}
    after = {condition.type: condition for condition in status.conditions} | {
        type_.value: _condition(known.get(type_.value), type_.value, value, reason, message, generation, now)
        for type_, value in told.items()
    }
    return status.model_copy(
        update={
            "observed_generation": generation,
            "state": "Stalled",
            "message": cut(message),
            "conditions": tuple(after.values()),
        }
    )


def stored_status(resource: Mapping[str, Any]) -> Status:
    """What of the line's status can be read."""
    return salvage(Status, resource.get("status") or {}) or Status()


def _condition(
    before: Condition | None, type_: str, value: Any, reason: str, message: str, generation: int, now: datetime
) -> Condition:
    status: Literal["True", "False", "Unknown"] = value
    since = before.last_transition_time if before is not None and before.status == status else moment(now)
    return Condition(
        type=type_,
        status=status,
        reason=reason,
        message=cut(message, _MESSAGE_LENGTH),
        last_transition_time=since,
        observed_generation=generation,
    )
