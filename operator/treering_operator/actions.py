"""What a decision asks for: plain data, carried out by `act`, in order, each harmless when done twice."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from treering_api import LookPlan, RollbackPlan, RoundPlan, Status

Plan = RoundPlan | RollbackPlan | LookPlan


@dataclass(frozen=True)
class EnsureJob:
    """A Job of this name is there, belongs to this line, and has its plan; made where it is not."""

    name: str
    plan: Plan


@dataclass(frozen=True)
class SetSuspend:
    """The Job is suspended or goes on. Never asked for a Job of a queue: Kueue owns that field there."""

    name: str
    uid: str
    suspend: bool


@dataclass(frozen=True)
class DeleteJob:
    """The Job with this UID and its pods are gone."""

    name: str
    uid: str


Action = EnsureJob | SetSuspend | DeleteJob


@dataclass(frozen=True)
class Notice:
    """One Kubernetes Event. `key` names the happening: the same key is never told twice."""

    warning: bool
    reason: str
    message: str
    key: str


@dataclass(frozen=True)
class Decision:
    """What to do now.

    Args:
        actions: done first, in order.
        notices: told after them.
        status: written last, if it differs from the line's.
        again: look again after this time at the latest, even if nothing happens; None: only when something happens.
        ended: results of the rounds that ended with this decision (published, rejected, failed), for the counters.
        gpu_seconds: GPU time that was not counted before.
    """

    actions: tuple[Action, ...]
    notices: tuple[Notice, ...]
    status: Status
    again: timedelta | None = None
    ended: tuple[str, ...] = ()
    gpu_seconds: float = 0.0
