from __future__ import annotations

import io
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from treering_trainer.progress import (
    EpochFinished,
    Event,
    Lines,
    Measured,
    Message,
    RoundFinished,
    RoundStarted,
    StageFinished,
    StageProgress,
    StageStarted,
)
from treering_trainer.progress.weights import STAGE_WEIGHTS
from treering_trainer.records import EpochRecord

if TYPE_CHECKING:
    from tests.unit.progress.conftest import Clock

LINE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ (INFO   |WARNING|ERROR  ) \S[ -~·…]*")


class Paper:
    """Lines on a stream of their own, with a clock that stands still."""

    def __init__(self, clock: Clock, interval_s: float = 10.0) -> None:
        self.stream = io.StringIO()
        self.clock = clock
        self.lines = Lines(self.stream, interval_s, clock, clock)

    def written(self) -> list[str]:
        """What was written since the last look, without timestamps and levels."""
        text = self.stream.getvalue()
        self.stream.seek(0)
        self.stream.truncate()
        assert all(LINE.fullmatch(line) for line in text.splitlines()), text
        return [line[29:] for line in text.splitlines()]


@pytest.fixture
def paper(clock: Clock) -> Paper:
    return Paper(clock)


def test_lines__a_whole_round_reads_well(paper: Paper, whole_round: Iterator[Event]) -> None:
    for event in whole_round:
        paper.lines(event)
    written = paper.written()
    assert written[:3] == [
        "cards: round 2, attempt 1: new-ranks (first outstanding increment)",
        "fetch: started (1 of 9)",
        "fetch: done in 2.0s: fetch went well",
    ]
    assert written[-1].startswith("cards: round 2 published · mAP50 0.912")
    assert len([line for line in written if "started (" in line]) == len(STAGE_WEIGHTS)
    assert "2 images were quarantined" in written
    assert len([line for line in written if line.startswith("train: round ")]) == 4


def test_progress__at_most_one_line_an_interval(paper: Paper) -> None:
    paper.lines(RoundStarted("cards", 1, 1, ("a",), "first"))
    paper.lines(StageStarted("train", 5, 9))
    paper.written()
    times = []
    for second in range(1, 101):
        paper.clock.tick(1.0)
        for batch in range(3):
            paper.lines(StageProgress("train", second * 3 + batch, 1000, "images"))
        paper.lines(EpochFinished(record(second), 100))
        times += [second] * len(paper.written())
    assert times == list(range(10, 101, 10))


def test_progress__says_where_the_round_stands(paper: Paper) -> None:
    paper.lines(RoundStarted("cards", 1, 1, ("a",), "first"))
    paper.lines(StageStarted("train", 5, 9))
    paper.lines(StageProgress("train", 0, 30_000, "images"))
    paper.clock.tick(60)
    paper.lines(EpochFinished(record(3), 20))
    standing = "train: round 23%, 0/30,000 images, epoch 3/20, box 1.23, cls 0.0457, 8.0 images/s"
    assert paper.written()[-1] == standing
    paper.clock.tick(60)
    paper.lines(StageProgress("train", 12_000, 30_000, "images"))
    assert paper.written() == [
        "train: round 42%, 12,000/30,000 images, epoch 3/20, box 1.23, cls 0.0457, 100 images/s, 3m00s left"
    ]


def test_progress__other_stages_say_their_detail(paper: Paper) -> None:
    paper.lines(RoundStarted("cards", 1, 1, ("a",), "first"))
    paper.lines(StageStarted("fetch", 1, 9))
    paper.clock.tick(10)
    paper.lines(StageProgress("fetch", 1200, 0, "objects", "memory"))
    assert paper.written()[-1] == "fetch: round 0%, 1,200 objects, memory"


def test_progress__a_new_stage_starts_the_interval_anew(paper: Paper) -> None:
    paper.clock.tick(60)
    paper.lines(StageStarted("fetch", 1, 9))
    paper.lines(StageProgress("fetch", 1, 2, "objects"))
    assert paper.written() == ["fetch: started (1 of 9)"]


def test_messages__come_at_once_with_their_level(paper: Paper) -> None:
    paper.lines(Message("info", "a"))
    paper.lines(Message("warning", "b"))
    paper.lines(Message("error", "c"))
    levels = [line.split()[1] for line in paper.stream.getvalue().splitlines()]
    assert levels == ["INFO", "WARNING", "ERROR"]


def test_lines__a_measurement_is_not_news(paper: Paper) -> None:
    paper.lines(Measured("treering_round_findings", 2, {"severity": "error"}))
    assert paper.written() == []


@pytest.mark.parametrize(
    "event",
    [
        pytest.param(Message("error", "\x1b[31mred\x1b[0m\nfile\r\x07"), id="message"),
        pytest.param(StageStarted("\x1b[2Jfetch\n", 1, 9), id="stage start"),
        pytest.param(StageFinished("fetch", 1.0, "\x1b]0;title\x07two\nlines"), id="summary"),
        pytest.param(RoundStarted("ca\x1b[1mrds", 1, 1, ("a\nb",), "why\tnot"), id="round start"),
        pytest.param(RoundFinished({"verdict": "pub\x1b[0mlished"}), id="round end"),
    ],
)
def test_lines__one_line_without_escapes_whatever_the_text(paper: Paper, event: Event) -> None:
    paper.lines(event)
    assert paper.stream.getvalue().count("\n") == 1
    assert len(paper.written()) == 1


def test_lines__flush_each_line(clock: Clock) -> None:
    class Counting(io.StringIO):
        flushes = 0

        def flush(self) -> None:
            self.flushes += 1

    stream = Counting()
    Lines(stream, 10.0, clock, clock)(Message("info", "a"))
    assert stream.flushes == 1


def record(epoch: int) -> EpochRecord:
    return EpochRecord(epoch=epoch, losses={"box": 1.2345, "cls": 0.04567}, learning_rate=0.01, images_per_s=8.0)
