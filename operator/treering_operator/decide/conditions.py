"""The conditions of a line out of where it stands; a transition time moves with the status alone."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from treering_api import Condition, ConditionType, Reason, Status
from treering_operator.decide.standing import Standing
from treering_operator.decide.wording import cut, moment

Row = tuple[ConditionType, bool, str, str]
_MESSAGE_LENGTH = 2048


def conditions(
    status: Status, standing: Standing, generation: int, *, suspended: bool, now: datetime
) -> tuple[Condition, ...]:
    """All conditions of a line.

    Args:
        status: with the newest model, and the conditions before.
        standing: where the line stands.
        generation: of the spec that was looked at.
        suspended: whether spec.suspend says so.
        now: time of a transition.
    """
    before = {condition.type: condition for condition in status.conditions}
    return tuple(_condition(before.get(row[0]), row, generation, now) for row in _rows(status, standing, suspended))


def _rows(status: Status, standing: Standing, suspended: bool) -> tuple[Row, ...]:
    reason, message = standing.reason, standing.message
    calm = Reason.HEALTHY if not standing.stalled else reason
    done = reason if not standing.reconciling else Reason.PROGRESSING
    model = status.model
    published = f"Round {model.round} is the line's model: {model.uri}" if model else "No round was published yet."
    return (
        (ConditionType.READY, standing.ready, reason, message),
        (ConditionType.RECONCILING, standing.reconciling, done, message if standing.reconciling else ""),
        (ConditionType.STALLED, standing.stalled, calm, message if standing.stalled else ""),
        (ConditionType.TRAINING, standing.training, standing.training_reason, standing.training_message),
        (
            ConditionType.SUSPENDED,
            suspended,
            Reason.SUSPENDED if suspended else Reason.NOT_SUSPENDED,
            "spec.suspend is true" if suspended else "",
        ),
        (ConditionType.PUBLISHED, model is not None, Reason.SUCCEEDED if model else Reason.NO_MODEL, published),
    )


def _condition(before: Condition | None, row: Row, generation: int, now: datetime) -> Condition:
    kind, holds, reason, message = row
    status: Literal["True", "False"] = "True" if holds else "False"
    since = before.last_transition_time if before is not None and before.status == status else moment(now)
    return Condition(
        type=str(kind),
        status=status,
        reason=str(reason),
        message=cut(message, _MESSAGE_LENGTH),
        last_transition_time=since,
        observed_generation=generation,
    )
