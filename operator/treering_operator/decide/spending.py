"""GPU time of rounds that are stopped: their Jobs go, and with them everybody who could say what they cost."""

from __future__ import annotations

from datetime import datetime

from treering_api import Status, Stopped
from treering_operator.actions import Action, DeleteJob
from treering_operator.decide.ending import held_s
from treering_operator.decide.family import Family
from treering_operator.decide.harvest import add_gpu_time

_REMEMBERED_JOBS = 50


def count_stopped(status: Status, family: Family, actions: tuple[Action, ...], now: datetime) -> tuple[Status, float]:
    """The status with the GPU time of Jobs that are deleted while they run, once for each; and what is new of it."""
    there = {job.uid for job in family.own}
    known = [item for item in status.stopped if item.uid in there]
    gone = {action.uid for action in actions if isinstance(action, DeleteJob)} - {item.uid for item in known}
    new = [
        Stopped(uid=job.uid, gpu_seconds=round(seconds, 3))
        for job in family.going
        if job.uid in gone and (seconds := held_s(job, family.pods_of(job), now))
    ]
    spent_s = sum(item.gpu_seconds for item in new)
    status = add_gpu_time(status, spent_s) if new else status
    return status.model_copy(update={"stopped": tuple((known + new)[-_REMEMBERED_JOBS:])}), spent_s
