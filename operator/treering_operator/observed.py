"""What a reconcile sees: one line, its children, what its pod says, and the time. Frozen views, made by `cluster`.

Views keep of an object only what decisions are made from, so that thousands of them cost little memory.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

Kind = Literal["round", "rollback", "discovery"]
"""What a Job does for its line; the value of its label `treering.dev/kind`."""


@dataclass(frozen=True, slots=True)
class Termination:
    """How a pod's trainer container ended."""

    exit_code: int
    reason: str
    message: str
    finished: datetime | None


@dataclass(frozen=True, slots=True)
class PodView:
    """One pod of a Job.

    `job_uid` is its controller's; `index` its place in an Indexed Job, 0 elsewhere. `trouble` is why its container does
    not start, as (reason, message): (Unschedulable, "0/1 nodes are available: ..."), (ImagePullBackOff, ...).
    """

    name: str
    namespace: str
    uid: str
    line: str
    job: str
    job_uid: str
    index: int
    phase: str
    ip: str
    running: bool
    deleting: bool
    disrupted: bool
    created: datetime
    started: datetime | None
    trouble: tuple[str, str] | None
    termination: Termination | None


@dataclass(frozen=True, slots=True)
class JobView:
    """One Job of a line.

    `line_uid` is its owner's. `number` is its round, the round it goes back to, or its look, by `kind`. `outcome` is
    the terminal condition's type (Complete, Failed), empty before it; `reason` and `message` are that condition's.
    `gpus` are held by each of its pods. `discovered` rounds learn deliveries that a look found. `store` is the line's
    folder that it works in; empty: not told.
    """

    name: str
    namespace: str
    uid: str
    line: str
    line_uid: str
    kind: Kind
    number: int
    digest: str
    increments: tuple[str, ...]
    suspended: bool
    queue: str
    nodes: int
    gpus: int
    active: int
    failed: int
    outcome: Literal["", "Complete", "Failed"]
    reason: str
    message: str
    deleting: bool
    created: datetime
    started: datetime | None
    finished: datetime | None
    discovered: bool = False
    store: str = ""


@dataclass(frozen=True)
class Observed:
    """Everything that a decision about one line rests on.

    Args:
        resource: the line as the API server has it, plain data.
        jobs: Jobs labelled with the line's name in its namespace, whoever owns them.
        pods: their pods.
        progress: the running round's `/progress` as JSON, None where no pod runs or none answered.
        now: time of the observation, UTC.
        progress_time: when `progress` was read.
    """

    resource: Mapping[str, Any]
    jobs: tuple[JobView, ...]
    pods: tuple[PodView, ...]
    progress: Mapping[str, Any] | None
    now: datetime
    progress_time: datetime | None = None
