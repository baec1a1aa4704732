"""The other nodes of a round: what they do while node 0 runs it, and how node 0 lets them know.

They fetch what is trained on, wait for what node 0 has prepared, and train. Called by `run`.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager

from treering_api import ResumableError
from treering_trainer.engine.crew import Crew
from treering_trainer.engine.meeting import LostError, Meeting, host_meeting, join_meeting
from treering_trainer.pod import find_done
from treering_trainer.progress import Event, Message, Observer, Observers, RoundStarted, StageFinished, StageStarted
from treering_trainer.records import AnalyseRecord
from treering_trainer.stages.fetch import fetch_for_full, fetch_for_training
from treering_trainer.stages.prepare import training_path
from treering_trainer.stages.ranks import run_here
from treering_trainer.stages.shelf import load_training
from treering_trainer.stages.verify import verified_path
from treering_trainer.stages.workbench import Workbench
from treering_trainer.store import write_atomic

LOOK_S = 30.0
"""Time between two looks at the line of a node that waits for node 0."""


@contextmanager
def hosted(crew: Crew, observer: Observer) -> Iterator[tuple[Meeting | None, Observer]]:
    """Node 0, while its round runs: where the nodes meet, and an observer that tells them when training has ended."""
    if crew.nodes == 1:
        yield None, observer
        return
    with host_meeting(crew) as meeting:

        def end_training(event: Event) -> None:
            if isinstance(event, StageFinished) and event.stage == "train":
                meeting.end_training()

        yield meeting, Observers(end_training, observer)


def take_part(bench: Workbench) -> None:
    """Another node: train when node 0 does, or not at all where it has trained, or the round has ended.

    Raises:
        TreeringError: what stopped the first rank or node that stopped.
    """
    fetch_for_training(bench)
    bench.observer(Message("info", f"node {bench.crew.node} of {bench.crew.nodes} is ready and waits for node 0"))
    watch, joined = _Watch(bench), False
    while not joined:
        try:
            with join_meeting(bench.crew, watch) as meeting:
                parcel = _parcel_of(meeting, watch)
                joined = parcel is not None
                if parcel:
                    _unpack(bench, parcel)
                    run_here(bench, meeting)
        except _EndedError:
            return


def _parcel_of(meeting: Meeting, watch: _Watch) -> bytes | None:
    """Empty where training has ended; None where node 0 has gone before it, and another pod will come."""
    try:
        return meeting.next_training(watch) or b""
    except LostError:
        return None


def _unpack(bench: Workbench, parcel: bytes) -> None:
    parts, plan = json.loads(parcel), bench.plan
    names = tuple(increment.name for increment in plan.increments)
    bench.observer(RoundStarted(plan.line, plan.round, parts["attempt"], names, plan.reason))
    bench.observer(StageStarted("train", plan.stages.index("train") + 1, len(plan.stages)))
    analysis = AnalyseRecord.model_validate_json(parts["analysis"])
    if analysis.strategy == "full":
        fetch_for_full(bench)
    bench.keep("analyse", analysis)
    write_atomic(training_path(bench), parts["training"].encode())
    write_atomic(verified_path(bench.folder), parts["datasets"].encode())  # how long patience is depends on val sets
    data = load_training(training_path(bench))
    missing = [sample.image for sample in (*data.new, *data.memory) if not sample.image.is_file()]
    if missing:
        found = f"{len(missing)} images that node 0 trains on are not there, such as {missing[0]}"
        raise ResumableError(f"node {bench.crew.node}", found, "Run again: a delivery changed in this moment.")


class _EndedError(Exception):
    """The round has ended without this node."""


class _Watch:
    """Called while a node waits for node 0: looks now and then whether there is still something to wait for."""

    def __init__(self, bench: Workbench) -> None:
        self._bench = bench
        self._due_s = time.monotonic() + LOOK_S

    def __call__(self) -> None:
        """Raise where waiting must end."""
        self._bench.stop.check("train")
        if time.monotonic() > self._due_s:
            self._due_s = time.monotonic() + LOOK_S
            if find_done(self._bench.plan, self._bench.line.read()[0]) is not None:
                raise _EndedError
