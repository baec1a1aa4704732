"""Running a line on this machine: every outstanding increment, one round after the other.

Called by `api` and the command line; a pod runs a single round of a plan that the operator made, through the same
functions. One work folder belongs to one process at a time.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from treering_api import (
    RETRY_ANNOTATION,
    EnvironmentFailure,
    IncrementalTrain,
    Lineage,
    Rollback,
    RoundPlan,
    RoundSummary,
    Spec,
    Waiting,
    next_round,
    notices,
    refuse_unsupported,
    roll_back,
)
from treering_trainer.engine.stop import StopRequest
from treering_trainer.line import Line, now
from treering_trainer.progress import Message, Observer, Observers
from treering_trainer.stages.models import choose_device
from treering_trainer.stages.round import run_round
from treering_trainer.stages.workbench import Workbench, round_work_folder
from treering_trainer.store import Connection, open_store, probe, write_atomic


@dataclass(frozen=True)
class Setting:
    """Where and how rounds run.

    Args:
        folder: the line's work folder; None takes `default_folder`.
        certificate_authority: PEM file for the store's TLS, if it is not the system's.
        threads: processors that may be used; None takes all that this process has.
    """

    folder: Path | None = None
    certificate_authority: Path | None = None
    threads: int | None = None
    observer: Observer = field(default_factory=Observers)
    stop: StopRequest = field(default_factory=StopRequest)


@dataclass(frozen=True)
class LineRun:
    """What a run did: the rounds that ended, and why no further one was begun."""

    rounds: tuple[RoundSummary, ...]
    waiting: Waiting

    @property
    def rejected(self) -> bool:
        """Whether any round was refused by the gate."""
        return any(summary.verdict == "rejected" for summary in self.rounds)


def open_line(resource: IncrementalTrain, certificate_authority: Path | None = None) -> Line:
    """The line of a resource, in its store."""
    connection = connect(resource.spec, certificate_authority)
    return Line(resource.metadata.name, open_store(resource.spec.store.uri, connection))


def connect(spec: Spec, certificate_authority: Path | None = None) -> Connection:
    """How `spec.store` is spoken to."""
    return Connection.from_spec(spec.store, certificate_authority)


def plan_next(resource: IncrementalTrain, lineage: Lineage) -> RoundPlan | Rollback | Waiting:
    """What would be done next for a line."""
    retry = resource.metadata.annotations.get(RETRY_ANNOTATION)
    return next_round(resource.spec, resource.metadata.name, lineage, retry=retry)


def run_line(resource: IncrementalTrain, setting: Setting) -> LineRun:
    """Run every outstanding increment of a line, in order.

    Raises:
        TreeringError: what stopped it; rounds that ended before are published and stay.
    """
    refuse_unsupported(resource.spec)
    for notice in notices(resource.spec):
        setting.observer(Message("warning", notice))
    line = open_line(resource, setting.certificate_authority)
    rounds: list[RoundSummary] = []
    with own_folder(setting.folder or default_folder(line)) as folder:
        _warn_of_weak_store(line, setting.observer)
        while True:
            lineage, etag = line.read()
            step = plan_next(resource, lineage)
            if isinstance(step, Waiting):
                return LineRun(tuple(rounds), step)
            if isinstance(step, Rollback):
                line.write(roll_back(lineage, step.round), etag)
                setting.observer(Message("info", f"round {step.round} is the line's model again: {step.reason}"))
                continue
            rounds.append(run_round(_bench(step, line, lineage, etag, folder, setting)))


def run_plan(plan: RoundPlan, setting: Setting) -> RoundSummary:
    """Run the one round of a plan: the entry point of a pod.

    Raises:
        TreeringError: what stopped it.
    """
    refuse_unsupported(plan.spec)
    connection = connect(plan.spec, setting.certificate_authority)
    line = Line(plan.line, open_store(plan.spec.store.uri, connection))
    with own_folder(setting.folder or default_folder(line)) as folder:
        lineage, etag = line.read()
        done = next((summary for summary in lineage.rounds if summary.round == plan.round), None)
        if done is not None:
            return done  # an earlier pod published it and died before it could say so
        return run_round(_bench(plan, line, lineage, etag, folder, setting))


def default_folder(line: Line) -> Path:
    """`$XDG_CACHE_HOME/treering/<line>-<hash of its store>`."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "treering" / f"{line.name}-{hashlib.sha256(line.store.uri.encode()).hexdigest()[:10]}"


def _bench(
    plan: RoundPlan, line: Line, lineage: Lineage, etag: str | None, folder: Path, setting: Setting
) -> Workbench:
    setting.stop.check("plan")
    device = choose_device(plan.spec.compute.gpus)  # before a number is claimed
    attempt = line.claim_attempt(plan.round)
    return workbench(plan, line, lineage, etag, folder, setting, attempt=attempt, device=device)


def workbench(
    plan: RoundPlan,
    line: Line,
    lineage: Lineage,
    etag: str | None,
    folder: Path,
    setting: Setting,
    *,
    attempt: int,
    device: str = "cpu",
) -> Workbench:
    """The workbench of one try at a round; attempt 0 only looks."""
    return Workbench(
        plan=plan,
        line=line,
        lineage=lineage,
        etag=etag,
        attempt=attempt,
        started=_started(round_work_folder(folder, plan)),
        shared=folder,
        connection=connect(plan.spec, setting.certificate_authority),
        device=device,
        threads=setting.threads or len(os.sched_getaffinity(0)),
        observer=setting.observer,
        stop=setting.stop,
    )


def _started(round_folder: Path) -> str:
    marker = round_folder / "started"
    if not marker.exists():
        write_atomic(marker, now().encode())
    return marker.read_text()


@contextmanager
def own_folder(folder: Path) -> Iterator[Path]:
    """The line's work folder, for this process alone.

    Raises:
        EnvironmentFailure: it can't be made, or another process works in it.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / ".lock").open("w")
    except OSError as error:
        raise EnvironmentFailure(
            str(folder), f"the work folder can't be used: {error.strerror}", "Give another one with --workdir"
        ) from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise EnvironmentFailure(
                str(folder),
                "another process works in this folder",
                "Wait for it, stop it, or give this run a folder of its own with --workdir",
            ) from error
        yield folder


def _warn_of_weak_store(line: Line, observer: Observer) -> None:
    capabilities = probe(line.store)
    if not (capabilities.conditional_create and capabilities.conditional_replace):
        text = (
            f"{line.store.uri}: the server ignores conditional writes, so nothing but care keeps two processes from"
            " publishing over each other; run one at a time"
        )
        observer(Message("warning", text))
