"""Killed anywhere in a round, a line keeps its model, and the next run ends where an unbroken one would have ended."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

import pytest

from tests.plugins.lines import TestLine, in_child
from treering_api import STAGES
from treering_trainer import api
from treering_trainer.progress import EpochFinished, Event, StageFinished, StageProgress, StageStarted

Here = Callable[[Event], bool]


def at_start(stage: str) -> Here:
    return lambda event: isinstance(event, StageStarted) and event.stage == stage


def at_end(stage: str) -> Here:
    return lambda event: isinstance(event, StageFinished) and event.stage == stage


def inside(stage: str) -> Here:
    return lambda event: isinstance(event, StageProgress) and event.stage == stage


def in_second_epoch(event: Event) -> bool:
    return isinstance(event, StageProgress) and event.stage == "train" and event.done > 6


def after_first_epoch(event: Event) -> bool:
    return isinstance(event, EpochFinished)


INSIDE = {stage: inside(stage) for stage in STAGES} | {
    "analyse": at_end("analyse"),  # these two tell of no progress: they are over before anyone could look
    "gate": at_end("gate"),
}
PLACES = [
    *(pytest.param(at_start(stage), id=f"{stage}-start") for stage in STAGES),
    *(pytest.param(INSIDE[stage], id=f"{stage}-inside") for stage in STAGES),
    pytest.param(at_end("train"), id="train-end"),
    pytest.param(after_first_epoch, id="train-epoch"),
    pytest.param(in_second_epoch, id="train-second-epoch"),
]


def run_and_die(line: TestLine, here: Here) -> None:
    """In a child: run the line until the moment comes, then be killed as the kernel does it."""

    def observer(event: Event) -> None:
        if here(event):
            os.kill(os.getpid(), signal.SIGKILL)

    status = in_child(lambda: api.run(line.file, workdir=line.work, observer=observer))
    assert os.WIFSIGNALED(status), f"it ended by itself: {status}"
    assert os.WTERMSIG(status) == signal.SIGKILL


@pytest.mark.parametrize("here", PLACES)
def test_a_killed_round_changes_nothing_and_is_finished_by_the_next_run(
    here: Here, grown: TestLine, second_weights: str
) -> None:
    grown.write()
    before = (grown.store / "lineage.json").read_bytes()
    run_and_die(grown, here)
    assert (grown.store / "lineage.json").read_bytes() == before
    assert api.fetch_model(grown.file, grown.root / "fetched").round == 1  # each file is checked against its digest
    answer = grown.run()
    assert answer.code == 0, answer.err
    assert grown.lineage.learned == ("w1", "w2")
    assert grown.lineage.rounds[-1].attempt == 2
    assert grown.weights(2) == second_weights


def die_instead(monkeypatch: pytest.MonkeyPatch, place: str, *, after: bool = False) -> None:
    """Replace a function by one that kills the process before or after it did its work."""
    module, name = place.rsplit(".", 1)
    owner = resolve(module)
    work = getattr(owner, name)

    def killed(*arguments: object, **options: object) -> None:
        if after:
            work(*arguments, **options)
        os.kill(os.getpid(), signal.SIGKILL)

    monkeypatch.setattr(owner, name, killed)


def resolve(path: str) -> object:
    from importlib import import_module

    parts = path.split(".")
    for length in range(len(parts), 0, -1):
        try:
            found: object = import_module(".".join(parts[:length]))
        except ModuleNotFoundError:
            continue
        for part in parts[length:]:
            found = getattr(found, part)
        return found
    raise AssertionError(path)


@pytest.mark.parametrize(
    ("place", "after", "exported_before"),
    [
        pytest.param("treering_trainer.stages.train.save_model", False, False, id="trained-not-saved"),
        pytest.param("treering_trainer.stages.export.describe_round", True, False, id="exported-without-record"),
        pytest.param("treering_trainer.stages.publish.describe_round", True, True, id="described-anew"),
        pytest.param("treering_trainer.stages.publish.write_manifest", True, False, id="manifest-written"),
        pytest.param("treering_trainer.line.Line.write", False, False, id="before-the-one-put"),
    ],
)
def test_killed_between_two_writes_the_round_is_finished_by_the_next_run(
    place: str, after: bool, exported_before: bool, grown: TestLine, second_weights: str
) -> None:
    grown.write()
    before = (grown.store / "lineage.json").read_bytes()
    if exported_before:  # the try that dies finds the export of one before it
        run_and_die(grown, at_start("publish"))

    def work() -> None:
        die_instead(pytest.MonkeyPatch(), place, after=after)
        api.run(grown.file, workdir=grown.work)

    status = in_child(work)
    assert os.WIFSIGNALED(status), f"it ended by itself: {status}"
    assert (grown.store / "lineage.json").read_bytes() == before
    answer = grown.run()
    assert answer.code == 0, answer.err
    assert grown.weights(2) == second_weights
    record = grown.store / "rounds" / "0002" / f"attempt-{grown.lineage.rounds[-1].attempt}" / "record.json"
    assert f'"attempt": {grown.lineage.rounds[-1].attempt}' in record.read_text()


def test_killed_right_after_the_one_put__the_round_counts_and_is_shown(grown: TestLine) -> None:
    grown.write()

    def work() -> None:
        die_instead(pytest.MonkeyPatch(), "treering_trainer.line.Line.write", after=True)
        api.run(grown.file, workdir=grown.work)

    assert os.WIFSIGNALED(in_child(work))
    assert grown.lineage.learned == ("w1", "w2")
    assert "w2" not in (grown.store / "report.html").read_text()
    answer = grown.run()
    assert answer.code == 0
    assert "up to date: 2 increments learned" in answer.out
    assert len(grown.lineage.rounds) == 2
    assert "w2" in (grown.store / "report.html").read_text()
    assert list((grown.work / "rounds").iterdir()) == []


def test_a_killed_first_round_leaves_no_model(line: TestLine) -> None:
    line.write()
    run_and_die(line, inside("publish"))
    assert not (line.store / "lineage.json").exists()
    assert "no model was published yet" in line.call("models list").out
    assert line.run().code == 0
    assert line.lineage.learned == ("w1",)
