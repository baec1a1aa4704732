from __future__ import annotations

import io
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from rich.cells import cell_len
from rich.console import Console

from treering_trainer.progress import (
    Bars,
    EpochFinished,
    Event,
    Message,
    ProgressState,
    RoundStarted,
    StageFinished,
    StageProgress,
    StageStarted,
    can_draw,
)
from treering_trainer.progress.bars import RunningStage, fitting
from treering_trainer.progress.weights import STAGE_WEIGHTS
from treering_trainer.records import EpochRecord

if TYPE_CHECKING:
    from tests.unit.progress.conftest import Clock

WIDTHS = pytest.mark.parametrize("width", [40, 80, 100, 120, 200])
STARTED = RoundStarted("cards", 2, 1, ("new-ranks",), "first outstanding increment")


def terminal(width: int) -> Console:
    """A console that is no terminal to Live (so it draws only what stays), and records."""
    return Console(width=width, file=io.StringIO(), record=True, force_terminal=False)


def live_line(width: int, clock: Clock, *events: Event) -> str:
    """The line of the running stage after `events`, ten seconds apart."""
    state = ProgressState(clock)
    running = RunningStage(state, clock)
    for event in events:
        state(event)
        clock.tick(10)
    console = terminal(width)
    console.print(running)
    return console.export_text()


def training(*losses: str) -> tuple[Event, ...]:
    record = EpochRecord(epoch=7, losses=dict.fromkeys(losses, 1.2345), learning_rate=0.01, images_per_s=8.0)
    return (
        STARTED,
        StageStarted("train", 5, 9),
        StageProgress("train", 0, 29_600, "images"),
        StageProgress("train", 10_000, 29_600, "images"),
        EpochFinished(record, 20),
    )


@WIDTHS
def test_bars__one_line_for_each_finished_stage(width: int, clock: Clock, whole_round: Iterator[Event]) -> None:
    console = terminal(width)
    with Bars(console, clock) as bars:
        for event in whole_round:
            bars(event)
    text = console.export_text()
    finished = [line for line in text.splitlines() if line.startswith("✔")]
    assert [line.split()[1:] for line in finished] == [
        [stage, "2.0s", stage, "went", "well"] for stage in STAGE_WEIGHTS
    ]
    assert text.startswith("cards · round 2 · attempt 1")
    assert "! 2 images were quarantined" in text
    assert "round 2 published" in text
    assert all(cell_len(line) <= width for line in text.splitlines())


@WIDTHS
@pytest.mark.parametrize("losses", [(), ("box", "cls", "dfl"), ("box", "cls", "dfl", "distill", "penalty")], ids=len)
def test_live_line__never_wraps(width: int, losses: tuple[str, ...], clock: Clock) -> None:
    text = live_line(width, clock, *training(*losses))
    assert text.count("\n") == 1
    assert cell_len(text.rstrip("\n")) <= width


def test_live_line__at_80_columns_shows_epoch_losses_and_eta(clock: Clock) -> None:
    text = live_line(80, clock, *training("box", "cls", "dfl"))
    assert text.split(" 34% ")[1].strip() == "epoch 7/20  box 1.23  cls 1.23  dfl 1.23  20s left"


def test_live_line__at_120_columns_adds_speed_and_round(clock: Clock) -> None:
    text = live_line(120, clock, *training("box", "cls", "dfl"))
    expected = "epoch 7/20  box 1.23  cls 1.23  dfl 1.23  1,000 images/s  round 38%  20s left"
    assert text.split(" 34% ")[1].strip() == expected


def test_live_line__of_another_stage_shows_amount_and_time(clock: Clock) -> None:
    started = StageStarted("fetch", 1, 9)
    text = live_line(80, clock, STARTED, started, StageProgress("fetch", 301, 1204, "objects", "memory"))
    assert text.split(" 25% ")[1].strip() == "301/1,204 objects  memory  30s"


def test_live_line__without_a_total_shows_no_percent(clock: Clock) -> None:
    text = live_line(80, clock, STARTED, StageStarted("fetch", 1, 9), StageProgress("fetch", 301, 0, "objects"))
    assert "%" not in text
    assert "301 objects" in text


def test_live_line__is_empty_between_stages(clock: Clock) -> None:
    text = live_line(80, clock, STARTED, StageStarted("fetch", 1, 9), StageFinished("fetch", 1.0, "done"))
    assert text.strip() == ""


def test_bars__a_round_that_dies_says_where(clock: Clock) -> None:
    console = terminal(80)
    with pytest.raises(RuntimeError), Bars(console, clock) as bars:
        bars(STARTED)
        bars(StageStarted("train", 5, 9))
        clock.tick(75)
        raise RuntimeError("out of memory")
    assert console.export_text().splitlines()[-1].split() == ["✘", "train", "1m15s", "stopped"]


def test_bars__texts_of_deliveries_are_neither_markup_nor_escapes(clock: Clock) -> None:
    console = terminal(80)
    with Bars(console, clock) as bars:
        bars(RoundStarted("[red]cards", 1, 1, ("[bold]a\x1b[2J",), "[/]"))
        bars(Message("warning", "[/oops] \x1b]0;title\x07text"))
        bars(StageStarted("fetch", 1, 9))
        bars(StageFinished("fetch", 1.0, "[link=x]\x1b[31mred"))
    text = console.export_text()
    assert "[red]cards · round 1 · attempt 1 · [bold]a  [/]" in text
    assert "! [/oops] text" in text
    assert "[link=x]red" in text
    assert "\x1b" not in text


def test_bars__on_a_real_terminal_give_the_cursor_back(clock: Clock, whole_round: Iterator[Event]) -> None:
    file = io.StringIO()
    with Bars(Console(width=80, file=file, force_terminal=True), clock) as bars:
        for event in whole_round:
            bars(event)
    written = file.getvalue()
    hide, show = "\x1b[?25l", "\x1b[?25h"
    assert written.count(hide) == written.count(show) == 1
    assert written.index(hide) < written.index(show)


@pytest.mark.parametrize(
    ("encoding", "environment", "expected"),
    [
        pytest.param("utf-8", {"TERM": "xterm-256color"}, True, id="usual"),
        pytest.param("ascii", {"TERM": "xterm-256color"}, False, id="ascii"),
        pytest.param("utf-8", {"TERM": "dumb"}, False, id="dumb"),
    ],
)
def test_can_draw__needs_a_terminal_that_can(encoding: str, environment: dict[str, str], expected: bool) -> None:
    file = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    assert can_draw(Console(file=file, force_terminal=True, _environ=environment)) is expected


def test_can_draw__not_into_a_file() -> None:
    assert not can_draw(Console(file=io.StringIO()))


@pytest.mark.parametrize(
    ("width", "expected"),
    [(99, ["a", "bb", "ccc"]), (10, ["a", "bb", "ccc"]), (9, ["bb", "ccc"]), (6, ["bb"]), (1, [])],
)
def test_fitting__drops_the_least_important_first(width: int, expected: list[str]) -> None:
    assert fitting([(3, "a"), (1, "bb"), (9, ""), (2, "ccc")], width) == expected
