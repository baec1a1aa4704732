"""Rounds whose training is shared by several processes, started as on a machine with several GPUs and as pods of a Job.

There is no GPU here, so every process trains on a processor, over gloo instead of NCCL; all else is what runs there.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil  # type: ignore[import-untyped]
import pytest

from tests.plugins.lines import TestLine, await_child, expect, start_child
from tests.plugins.programs import free_port
from treering_api import ExitCode, ResumableError, RoundResult
from treering_trainer import api, run
from treering_trainer.cli.app import run_app
from treering_trainer.engine.crew import Crew
from treering_trainer.progress import EpochFinished, Event, StageProgress

EPOCHS = 5
"""So many that a process which is to die in the second one never gets to the last one first."""


def two_processes(patch: pytest.MonkeyPatch) -> None:
    """What `compute.gpus: 2` makes of a machine with two GPUs."""
    patch.setattr(run, "choose_crew", lambda *_: Crew(processes=2))


def ranks_of(process: int) -> list[psutil.Process]:
    children = psutil.Process(process).children(recursive=True)
    return sorted((c for c in children if "treering_trainer.stages.rank" in c.cmdline()), key=lambda c: c.pid)


@pytest.fixture
def shared(grown: TestLine) -> TestLine:
    """A line with one model, and a second delivery whose training several processes are to share."""
    grown.spec["training"]["epochs"] = EPOCHS
    return grown


@dataclass
class Reference:
    weights: str
    record: dict[str, object]
    events: list[Event] = field(default_factory=list)


@pytest.fixture(scope="module")
def unbroken(grown_once: TestLine, tmp_path_factory: pytest.TempPathFactory) -> Reference:
    """What two processes on one machine publish when nothing goes wrong."""
    line = grown_once.copy_to(tmp_path_factory.mktemp("shared") / "line")
    line.spec["training"]["epochs"] = EPOCHS
    events: list[Event] = []
    with pytest.MonkeyPatch.context() as patch:
        two_processes(patch)
        done = api.run(line.resource, workdir=line.work, observer=events.append)
    assert [summary.verdict for summary in done.rounds] == ["published"]
    assert ranks_of(os.getpid()) == []
    record = json.loads((line.store / "rounds" / "0002" / "attempt-1" / "record.json").read_text())
    return Reference(line.weights(2), record["train"], events)


def test_two_processes__train_one_round_and_tell_of_it(unbroken: Reference) -> None:
    record, events = unbroken.record, unbroken.events
    assert (record["device"], record["attempts"], record["batch"]) == ("2 x cpu", 1, 4)
    assert [event.record.epoch for event in events if isinstance(event, EpochFinished)] == list(range(1, EPOCHS + 1))
    shown = [event for event in events if isinstance(event, StageProgress) and event.unit == "images"]
    trained = [event.done for event in shown if event.stage == "train"]
    assert trained == sorted(trained)
    assert trained[-1] == record["image_passes"]


def test_two_processes__one_is_killed_and_the_next_run_ends_where_an_unbroken_one_does(
    shared: TestLine, unbroken: Reference, monkeypatch: pytest.MonkeyPatch
) -> None:
    two_processes(monkeypatch)

    def kill_one(event: Event) -> None:
        if isinstance(event, EpochFinished) and event.record.epoch == 1:
            ranks_of(os.getpid())[-1].kill()

    with pytest.raises(ResumableError, match="was killed by SIGKILL"):
        api.run(shared.resource, workdir=shared.work, observer=kill_one)
    assert ranks_of(os.getpid()) == []
    assert shared.lineage.round == 1
    done = api.run(shared.resource, workdir=shared.work)
    assert [(summary.verdict, summary.attempt) for summary in done.rounds] == [("published", 2)]
    assert shared.weights(2) == unbroken.weights


@dataclass
class Node:
    """One pod of a round: its process, what it said, and its last word."""

    root: Path
    process: int
    ended: int | None = None

    @property
    def epochs(self) -> int:
        lines = (self.root / "out").read_text().splitlines() if (self.root / "out").exists() else []
        return sum('"EpochFinished"' in line for line in lines)

    @property
    def told(self) -> str:
        return (self.root / "err").read_text()

    @property
    def result(self) -> RoundResult:
        return RoundResult.from_message((self.root / "result.json").read_text())

    def end(self) -> int:
        if self.ended is None:
            self.ended = await_child(self.process, 120)
        return os.waitstatus_to_exitcode(self.ended)


@contextmanager
def two_nodes(line: TestLine, run_name: str, *, late: int) -> Iterator[list[Node]]:
    """Two pods of an Indexed Job on the loopback, with one disk for both; the one called late comes after the other."""
    nodes = start_nodes(line, run_name, late=late)
    try:
        yield nodes
    finally:
        for node in nodes:
            if node.ended is None:
                os.kill(node.process, signal.SIGKILL)
                node.end()


def start_nodes(line: TestLine, run_name: str, *, late: int) -> list[Node]:
    plan = line.root / "plan.json"
    line.write()
    if not plan.exists():
        plan.write_text(line.call("plan", "--json").out)
    place = {"TREERING_NODES": "2", "TREERING_RENDEZVOUS": f"localhost:{free_port()}"}

    def start(number: int) -> Node:
        root = line.root / f"{run_name}-{number}"
        root.mkdir()

        def work() -> None:
            os.environ.update(place, TREERING_NODE_RANK=str(number))
            mine = sorted(os.sched_getaffinity(0))
            os.sched_setaffinity(0, {mine[number % len(mine)]})  # else both compute on every processor, and wait
            sys.stdout, sys.stderr = (root / "out").open("w"), (root / "err").open("w")
            folder = line.root / "disk"  # as a claim for all pods of the Job would be
            words = ["round", str(plan), "--workdir", str(folder), "--result", str(root / "result.json"), "--json"]
            os._exit(run_app(words))

        return Node(root, start_child(work))

    nodes = {1 - late: start(1 - late)}
    time.sleep(1.0)
    nodes[late] = start(late)
    return [nodes[0], nodes[1]]


def wait_for(what: Callable[[], bool], timeout_s: float = 300.0) -> None:
    end_s = time.monotonic() + timeout_s
    while not what():
        assert time.monotonic() < end_s, "it did not happen"
        time.sleep(0.02)


def test_two_nodes__one_is_stopped_then_killed_and_the_round_is_published_once(
    shared: TestLine, unbroken: Reference
) -> None:
    with two_nodes(shared, "stopped", late=0) as (first, second):
        wait_for(lambda: first.epochs >= 1)
        os.kill(second.process, signal.SIGTERM)
        assert (first.end(), second.end()) == (ExitCode.RESUMABLE, ExitCode.RESUMABLE), first.told
        assert "stopped by SIGTERM" in first.result.message

    with two_nodes(shared, "killed", late=1) as (first, second):
        wait_for(lambda: first.epochs >= 1)
        os.kill(second.process, signal.SIGKILL)
        assert (first.end(), second.end()) == (ExitCode.RESUMABLE, -signal.SIGKILL), first.told
        assert (first.result.verdict, first.result.attempt) == ("", 2)

    with two_nodes(shared, "ended", late=1) as (first, second):
        assert (first.end(), second.end()) == (ExitCode.SUCCESS, ExitCode.SUCCESS), first.told
        assert (first.result.verdict, first.result.attempt) == ("published", 3)
        assert (second.result.verdict, second.result.round, second.result.attempt) == ("", 2, 3)
        assert "node 0 runs the round" in second.result.message
    assert [summary.round for summary in shared.lineage.rounds] == [1, 2]
    assert shared.weights(2) == unbroken.weights, "two nodes with one process each are one node with two"


def test_a_batch_that_can_not_be_shared_out_evenly_is_refused(
    shared: TestLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared.spec["training"]["batch"] = 5
    shared.spec["compute"] = {"gpus": 2}
    expect(shared.refused(), ExitCode.BAD_SPEC, "spec.training.batch", "5 images", "multiple of 2, such as 4 or 6")
    shared.spec["training"]["batch"] = 4
    expect(shared.refused(), ExitCode.RESUMABLE, "spec.compute.gpus", "2 GPUs were asked for", "as many")
