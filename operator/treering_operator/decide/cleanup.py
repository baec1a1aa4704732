"""Finished Jobs that nobody needs any more: their results are in the status, their story is in the store."""

from __future__ import annotations

from datetime import datetime, timedelta

from treering_api import Status, seconds
from treering_operator.actions import DeleteJob
from treering_operator.decide.ending import read_ending
from treering_operator.decide.family import Family
from treering_operator.decide.reading import Line
from treering_operator.observed import JobView

_MOST_KEPT = 100
"""Whatever ttl says: a status remembers the results of 200 finished Jobs, and those of one more would be taken anew."""


def sweep(line: Line, family: Family, status: Status, now: datetime) -> tuple[DeleteJob, ...]:
    """Deletions of Jobs beyond historyLimit or older than ttl, and of those that only said the plan was outdated."""
    if line.spec is None:
        return ()
    done = [job for job in family.finished if job.uid in status.harvested and not job.deleting]
    outdated = [job for job in done if _said_outdated(line, family, status, job, now)]
    kept = [job for job in done if job not in outdated]
    if line.spec.ttl is None:
        gone = kept[: -line.spec.history_limit]
    else:
        age = timedelta(seconds=seconds(line.spec.ttl))
        old = [job for job in kept if (job.finished or job.created) + age < now]
        gone = [job for job in kept if job in old or job not in kept[-_MOST_KEPT:]]
    return tuple(DeleteJob(job.name, job.uid) for job in (*outdated, *gone))


def _said_outdated(line: Line, family: Family, status: Status, job: JobView, now: datetime) -> bool:
    stands = status.failure is not None and status.failure.digest == job.digest
    if job.outcome != "Failed" or stands:
        return False
    return read_ending(line.name, job, family.pods_of(job), now).kind == "outdated"
