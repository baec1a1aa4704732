"""A line's Jobs and pods, sorted by what they mean for it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from treering_operator.decide.reading import Line
from treering_operator.observed import JobView, Observed, PodView
from treering_operator.resources.names import is_discovery


@dataclass(frozen=True)
class Family:
    """Children of a line, by owner UID.

    Args:
        own: Jobs of this very line.
        foreign: Jobs of an earlier line of the same name, or of nobody.
        pods: pods of all of them.
    """

    line: str
    own: tuple[JobView, ...]
    foreign: tuple[JobView, ...]
    pods: tuple[PodView, ...]

    @property
    def finished(self) -> tuple[JobView, ...]:
        """Own rounds and rollbacks that ended, in the order they did; being deleted or not."""
        return tuple(sorted((job for job in self._learning(self.own) if job.outcome), key=_end))

    @property
    def going(self) -> tuple[JobView, ...]:
        """Own rounds and rollbacks that have not ended, oldest first."""
        return tuple(sorted((job for job in self._learning(self.own) if not job.outcome), key=lambda job: job.created))

    @property
    def looks(self) -> tuple[JobView, ...]:
        """Own looks for deliveries, by number."""
        return tuple(sorted((job for job in self.own if job.kind == "discovery"), key=lambda job: job.number))

    def strangers(self, name: str) -> tuple[JobView, ...]:
        """Foreign Jobs that must be gone before a Job of this name starts."""
        going = {job.uid for job in self._learning(self.foreign) if not job.outcome}
        return tuple(job for job in self.foreign if job.name == name or job.uid in going)

    def pods_of(self, job: JobView) -> tuple[PodView, ...]:
        """Pods of a Job, oldest first."""
        return tuple(sorted((pod for pod in self.pods if pod.job_uid == job.uid), key=lambda pod: pod.created))

    def lingering(self) -> tuple[PodView, ...]:
        """Pods of rounds and rollbacks that are not gone yet, though their Job is."""
        jobs = {job.uid for job in (*self.own, *self.foreign)}
        return tuple(
            pod
            for pod in self.pods
            if pod.job_uid not in jobs
            and pod.phase not in ("Succeeded", "Failed")
            and not is_discovery(self.line, pod.job)
        )

    @staticmethod
    def _learning(jobs: tuple[JobView, ...]) -> tuple[JobView, ...]:
        return tuple(job for job in jobs if job.kind != "discovery")


def family_of(line: Line, observed: Observed) -> Family:
    """The children of a line as they were observed."""
    return Family(
        line=line.name,
        own=tuple(job for job in observed.jobs if job.line_uid == line.uid),
        foreign=tuple(job for job in observed.jobs if job.line_uid != line.uid),
        pods=observed.pods,
    )


def _end(job: JobView) -> tuple[datetime, datetime, str]:
    return (job.finished or job.created, job.created, job.name)
