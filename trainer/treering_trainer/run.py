"""Running a line on this machine: every outstanding increment, one round after the other.

Called by `api` and the command line; a pod runs a single round of a plan that the operator made, through the same
functions. One work folder belongs to one process at a time. Importing this imports torch and ultralytics.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from treering_api import (
    IncrementalTrain,
    Lineage,
    Rollback,
    RoundPlan,
    RoundSummary,
    Spec,
    Waiting,
    notices,
    roll_back,
    seconds,
)
from treering_trainer.engine.crew import ALONE, Crew
from treering_trainer.engine.machine import available_processors
from treering_trainer.engine.meeting import Meeting
from treering_trainer.engine.stop import StopRequest
from treering_trainer.line import Line, connect, open_line, plan_next
from treering_trainer.pod import Standing, find_done, find_line, fit, try_store
from treering_trainer.progress import Message, Observer, Observers
from treering_trainer.stages.checkpoints import bring_back, remove_ended
from treering_trainer.stages.folder import ended_rounds, own_folder, start_time, sweep
from treering_trainer.stages.models import choose_device
from treering_trainer.stages.nodes import hosted, take_part
from treering_trainer.stages.publish import publish_page
from treering_trainer.stages.ranks import choose_crew
from treering_trainer.stages.round import run_round
from treering_trainer.stages.safekeeping import kept_safe
from treering_trainer.stages.workbench import Workbench, round_work_folder
from treering_trainer.yolo.exporting.formats import refuse_unmakeable


@dataclass(frozen=True)
class Setting:
    """Where and how rounds run.

    Args:
        folder: the line's work folder; None takes `default_folder`.
        certificate_authority: PEM file for the store's TLS, if it is not the system's.
        safe_interval_s: time between two checkpoints of a training that are brought to the store, from where another
            machine goes on; None: they stay in the work folder.
    """

    folder: Path | None = None
    certificate_authority: Path | None = None
    observer: Observer = field(default_factory=Observers)
    stop: StopRequest = field(default_factory=StopRequest)
    safe_interval_s: float | None = None


@dataclass(frozen=True)
class LineRun:
    """What a run did: the rounds that ended, and why no further one was begun."""

    rounds: tuple[RoundSummary, ...]
    waiting: Waiting

    @property
    def rejected(self) -> bool:
        """Whether something stays unlearned because the gate refused it: in this run, or because the line is held."""
        learned = {name for item in self.rounds if item.verdict == "published" for name in item.increments}
        refused = {name for item in self.rounds if item.verdict == "rejected" for name in item.increments}
        return bool(refused - learned) or self.waiting.code == "Held"


def run_line(resource: IncrementalTrain, setting: Setting) -> LineRun:
    """Run every outstanding increment of a line, in order.

    Raises:
        TreeringError: what stopped it; rounds that ended before are published and stay.
    """
    for notice in notices(resource.spec):
        setting.observer(Message("warning", notice))
    line = open_line(resource, setting.certificate_authority)
    rounds: list[RoundSummary] = []
    with own_line_folder(line, setting.folder) as folder:
        while True:
            lineage, etag = line.read()
            _tidy(line, lineage, folder)
            step = plan_next(resource, lineage)
            if isinstance(step, Waiting):
                return LineRun(tuple(rounds), step)
            if not rounds:
                try_store(line, setting.observer)
            if isinstance(step, Rollback):
                line.write(roll_back(lineage, step.round), etag)
                setting.observer(Message("info", f"round {step.round} is the line's model again: {step.reason}"))
            else:
                rounds.append(_run(step, line, lineage, etag, folder, setting, choose_crew(step.spec, {})))


def run_plan(plan: RoundPlan, setting: Setting, standing: Standing) -> RoundSummary | None:
    """Run the one round of a plan: the entry point of a pod. A round that has ended already is given as it ended.

    Of the pods that train a round together (see `engine.crew`) the first one runs it; the others take part in its
    training only, and give None.

    Args:
        standing: is told how the line stands, before the round and after it.

    Raises:
        OutdatedError: the plan does not fit the line; nothing was done.
        TreeringError: what stopped it.
    """
    crew = choose_crew(plan.spec, os.environ)
    line = find_line(plan.line, plan.spec, setting.certificate_authority)
    own = setting.folder or default_folder(line)
    if crew.node:
        own = own / "nodes" / str(crew.node)  # a claim as cache volume is the same for all pods
    with own_line_folder(line, own) as folder:
        if crew.node:
            _take_part(plan, line, folder, setting, standing, crew)
            return None
        standing.measure(line, setting.observer)
        lineage, etag = standing.read(line)
        _tidy(line, lineage, folder)
        remove_ended(line, lineage)
        done = find_done(plan, lineage)
        if done is None:
            done = _run(fit(plan, line, lineage), line, lineage, etag, folder, setting, crew)
            remove_ended(line, standing.read(line)[0])
        return done


def default_folder(line: Line) -> Path:
    """`$XDG_CACHE_HOME/treering/<line>-<hash of its store>`."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "treering" / f"{line.name}-{hashlib.sha256(line.store.uri.encode()).hexdigest()[:10]}"


def own_line_folder(line: Line, folder: Path | None) -> AbstractContextManager[Path]:
    """The line's work folder for this process alone; see `own_folder`."""
    return own_folder(folder or default_folder(line), f"{line.name} in {line.store.uri}")


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
    started: str = "",
    crew: Crew = ALONE,
    meeting: Meeting | None = None,
) -> Workbench:
    """The workbench of one try at a round; attempt 0 only looks."""
    return Workbench(
        plan=plan,
        line=line,
        lineage=lineage,
        etag=etag,
        attempt=attempt,
        started=started,
        shared=folder,
        connection=connect(plan.spec, setting.certificate_authority),
        device=device,
        threads=available_processors(),
        observer=setting.observer,
        stop=setting.stop,
        crew=crew,
        meeting=meeting,
    )


def _run(
    plan: RoundPlan, line: Line, lineage: Lineage, etag: str | None, folder: Path, setting: Setting, crew: Crew
) -> RoundSummary:
    setting.stop.check("plan")
    device = choose_device(plan.spec.compute.gpus)  # before a number is claimed
    refuse_unmakeable(plan.spec.export.formats, device)
    attempt = line.claim_attempt(plan.round)
    with _deadline(plan.spec, setting.stop), hosted(crew, setting.observer) as (meeting, observer):
        setting = replace(setting, observer=observer)
        if setting.safe_interval_s is not None:
            bring_back(line, round_work_folder(folder, plan), plan.round, setting.observer)
        started = start_time(round_work_folder(folder, plan))
        bench = workbench(
            plan, line, lineage, etag, folder, setting,
            attempt=attempt, device=device, started=started, crew=crew, meeting=meeting,
        )  # fmt: skip
        if setting.safe_interval_s is None:
            return run_round(bench)
        with kept_safe(bench, setting.safe_interval_s):
            return run_round(bench)


def _take_part(plan: RoundPlan, line: Line, folder: Path, setting: Setting, standing: Standing, crew: Crew) -> None:
    """Train on this node when node 0 does; nothing else of the round happens here."""
    lineage, etag = standing.read(line)
    sweep(folder, lineage)
    if find_done(plan, lineage) is not None:
        return
    plan = fit(plan, line, lineage)
    device = choose_device(plan.spec.compute.gpus)
    bench = workbench(plan, line, lineage, etag, folder, setting, attempt=0, device=device, crew=crew)
    with _deadline(plan.spec, setting.stop):
        take_part(bench)
    standing.read(line)


@contextmanager
def _deadline(spec: Spec, stop: StopRequest) -> Iterator[None]:
    """Ask for a stop when this try at a round has taken longer than the spec allows."""
    if spec.deadline is None:
        yield
        return
    reason = f"spec.deadline: a try at a round may take {spec.deadline}"
    timer = threading.Timer(seconds(spec.deadline), stop.request, [reason])
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _tidy(line: Line, lineage: Lineage, folder: Path) -> None:
    """Do what a round that was published did not live to do: show it on the line's page, and sweep its folder."""
    if ended_rounds(folder, lineage):
        publish_page(line, lineage)
    sweep(folder, lineage)
