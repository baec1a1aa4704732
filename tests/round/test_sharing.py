"""One line, several processes: one of them publishes, the others are told, and nobody's work is damaged."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Callable

import pytest

from tests.plugins.lines import TestLine, await_child, in_child, start_child
from treering_api import Lineage, StoreError
from treering_trainer import api
from treering_trainer.api.lines import open_source
from treering_trainer.line import Line
from treering_trainer.progress import Event, StageStarted
from treering_trainer.stages.folder import own_folder
from treering_trainer.store import ConflictError


def test_two_processes_race__one_publishes_the_other_is_told(grown: TestLine, second_weights: str) -> None:
    grown.write()
    barrier = multiprocessing.get_context("fork").Barrier(2)

    def racer(name: str) -> Callable[[], None]:
        def observer(event: Event) -> None:
            if isinstance(event, StageStarted) and event.stage == "publish":
                barrier.wait(60)

        def work() -> None:
            told = grown.root / f"{name}.txt"
            try:
                api.run(grown.file, workdir=grown.root / name, observer=observer)
                told.write_text("published")
            except StoreError as error:
                told.write_text(str(error))

        return work

    children = [start_child(racer(name)) for name in ("one", "two")]
    assert [await_child(child) for child in children] == [0, 0]
    told = sorted((grown.root / f"{name}.txt").read_text() for name in ("one", "two"))
    assert told[1] == "published"
    assert "another process published round 2 while this one was at work" in told[0]
    assert "Run again" in told[0]
    assert [summary.round for summary in grown.lineage.rounds] == [1, 2]
    assert grown.weights(2) == second_weights
    api.fetch_model(grown.file, grown.root / "fetched")


def test_one_work_folder_belongs_to_one_process(grown: TestLine) -> None:
    with own_folder(grown.work, f"oak in {grown.store.as_uri()}"):
        error = grown.refused()
    assert error["exitCode"] == 75
    assert error["where"] == str(grown.work)
    assert error["found"] == "another process works in this folder"


def test_one_work_folder_belongs_to_one_line(grown: TestLine) -> None:
    with own_folder(grown.work, "elm in file:///elsewhere"):
        pass
    error = grown.refused()
    assert error["exitCode"] == 2
    assert "is that of the line elm in file:///elsewhere" in error["found"]


def test_the_work_folder_is_free_at_once__though_a_loader_outlives_its_killed_parent(grown: TestLine) -> None:
    def work() -> None:
        with own_folder(grown.work, "oak"):
            if os.fork() == 0:
                time.sleep(3)
                os._exit(0)
            os.kill(os.getpid(), signal.SIGKILL)

    grown.work.mkdir(parents=True)
    assert os.WIFSIGNALED(in_child(work))
    with own_folder(grown.work, "oak"):
        pass


def test_the_answer_to_the_one_put_is_lost__the_round_is_known_as_our_own(
    grown: TestLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A client that repeats a put whose answer was lost is told of a conflict with itself."""
    write = Line.write

    def write_twice(self: Line, lineage: Lineage, etag: str | None) -> None:
        write(self, lineage, etag)
        write(self, lineage, etag)

    with pytest.raises(ConflictError):
        line = Line("oak", open_source(grown.resource, None).store)
        write_twice(line, *line.read())
    monkeypatch.setattr(Line, "write", write_twice)
    answer = grown.run()
    assert answer.code == 0, answer.err
    assert grown.lineage.learned == ("w1", "w2")
