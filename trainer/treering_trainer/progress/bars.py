"""Progress on a terminal: a line for every finished stage, and one live bar for the running one.

Chosen by the command line when standard error is a TTY.

    cards · round 2 · attempt 1 · new-ranks (first outstanding increment)
    ✔ fetch       1.2s  1,204 objects, 18 MB
    ✔ verify      3.4s  1,200 images, 2 quarantined
    ⠹ train     ━━━━━━━━━━━━━━━━━╸━━━━━━━━━━━━  41%  epoch 8/20  box 1.23  cls 0.567  3m05s left

What doesn't fit the width is left out, the least important first; the live line never wraps. While bars are open,
other writing to the standard streams appears above them.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from treering_trainer.progress import wording
from treering_trainer.progress.events import (
    Event,
    Message,
    RoundFinished,
    RoundStarted,
    StageFinished,
    StageStarted,
)
from treering_trainer.progress.state import ProgressState, Snapshot

_NAME_WIDTH = 9
_DURATION_WIDTH = 7
_BAR_WIDTH = 8
_GAP = "  "
_LEVELS = {"info": ("·", "dim"), "warning": ("!", "yellow"), "error": ("✘", "bold red")}


class Bars:
    """Draws a round; itself an `Observer`, and a context manager that gives the terminal back.

    Args:
        console: where to draw; a console on standard error by default.
        clock: monotonic seconds, for speeds and the time of the running stage.
    """

    def __init__(self, console: Console | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._console = console or Console(stderr=True)
        self._state = ProgressState(clock)
        self._running = RunningStage(self._state, clock)
        self._live = Live(self._running, console=self._console, refresh_per_second=8, transient=True)

    def __enter__(self) -> Bars:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        now, seconds = self._state.snapshot(), self._running.seconds()
        self._running.hide()
        if now.stage and kind is not None:
            self._print(_row(Text("✘", "bold red"), now.stage, seconds, "stopped"))
        self._live.stop()

    def __call__(self, event: Event) -> None:
        """Draw what `event` changes."""
        if isinstance(event, StageStarted):
            self._running.restart()
        elapsed_s = self._running.seconds()
        self._state(event)
        match event:
            case RoundStarted():
                self._print(_title(event))
            case StageFinished():
                duration_s = event.duration_s or elapsed_s
                self._print(_row(Text("✔", "bold green"), event.stage, duration_s, event.summary))
            case RoundFinished():
                self._print(_verdict(event, self._state.snapshot()))
            case Message():
                self._print(_note(event))
            case _:
                pass

    def _print(self, row: Table | Text) -> None:
        self._console.print(row, highlight=False)


def can_draw(console: Console) -> bool:
    """Whether bars would look right here: a terminal that can move its cursor and show more than ASCII."""
    return console.is_terminal and not console.is_dumb_terminal and not console.options.ascii_only


class RunningStage:
    """The live line, drawn anew from the state at each refresh; empty while no stage runs."""

    def __init__(self, state: ProgressState, clock: Callable[[], float]) -> None:
        self._state, self._clock = state, clock
        self._since_s = clock()
        self._spinner = Spinner("dots", style="cyan")
        self._hidden = False

    def restart(self) -> None:
        """Count the stage's time from now."""
        self._since_s = self._clock()

    def seconds(self) -> float:
        """How long the stage has been running."""
        return self._clock() - self._since_s

    def hide(self) -> None:
        """Draw nothing from now on."""
        self._hidden = True

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        now = self._state.snapshot()
        if now.stage and not self._hidden:
            yield self._line(console, now, options.max_width)

    def _line(self, console: Console, now: Snapshot, width: int) -> Table:
        share = now.done / now.total if now.total > 0 else None
        percent = f"{100 * min(share, 1.0):3.0f}%" if share is not None else " ···"
        room = width - (2 + _NAME_WIDTH + 1 + _BAR_WIDTH + 1 + len(percent) + 2)
        bar = ProgressBar(total=now.total or None, completed=now.done, pulse=share is None, complete_style="green")
        line = Table.grid(padding=(0, 1, 0, 0), expand=True)
        line.add_column(width=1)
        line.add_column(width=_NAME_WIDTH, no_wrap=True)
        line.add_column(ratio=1, min_width=4)
        line.add_column(width=len(percent))
        line.add_column(no_wrap=True, overflow="ellipsis")
        beside = Text(_GAP.join(fitting(_facts(now, self.seconds()), room)), overflow="ellipsis", no_wrap=True)
        line.add_row(self._spinner.render(console.get_time()), Text(now.stage, "bold"), bar, percent, beside)
        return line


def fitting(facts: list[tuple[int, str]], width: int) -> list[str]:
    """The texts of `facts` in their order, two spaces apart, less those of highest rank until they fit."""
    kept = [(rank, text) for rank, text in facts if text]
    while kept and cell_len(_GAP.join(text for _, text in kept)) > width:
        kept.remove(max(kept, key=lambda fact: fact[0]))
    return [text for _, text in kept]


def _facts(now: Snapshot, elapsed_s: float) -> list[tuple[int, str]]:
    """What stands beside the bar, from left to right, each with its rank: 0 goes last when room is short."""
    left = f"{wording.duration(now.eta_s)} left" if now.eta_s is not None else wording.duration(elapsed_s)
    amount = wording.count(now.done, now.total, now.unit) if now.unit else ""
    if now.stage != "train":
        return [(1, amount), (2, wording.one_line(now.detail)), (0, left)]
    epoch = f"epoch {now.epoch}/{now.epochs}" if now.epoch is not None else ""
    speed = wording.speed(now.images_per_s) if now.images_per_s else ""
    losses = [(2 + place, wording.loss(name, value)) for place, (name, value) in enumerate(now.losses.items())]
    last = 2 + len(losses)
    return [
        (1, epoch),
        *losses,
        (last + 2 if epoch else 1, wording.one_line(now.detail)),
        (last, speed),
        (last + 1, f"round {now.percent:.0f}%"),
        (0, left),
    ]


def _row(mark: Text, stage: str, duration_s: float, summary: str) -> Table:
    row = Table.grid(padding=(0, 1, 0, 0))
    row.add_column(width=1)
    row.add_column(width=_NAME_WIDTH, no_wrap=True)
    row.add_column(width=_DURATION_WIDTH, no_wrap=True, justify="right")
    row.add_column(overflow="fold")
    length = Text(wording.duration(duration_s), "dim")
    row.add_row(mark, Text(wording.one_line(stage)), length, Text(wording.one_line(summary)))
    return row


def _title(event: RoundStarted) -> Text:
    title = Text(wording.one_line(f"{event.line} · round {event.round} · attempt {event.attempt}"), "bold")
    title.append(f" · {wording.one_line(', '.join(event.increments))}", "cyan")
    return title.append(f"  {wording.one_line(event.reason)}", "dim")


def _note(event: Message) -> Table:
    mark, style = _LEVELS[event.level]
    note = Table.grid(padding=(0, 1, 0, 0))
    note.add_row(Text(mark, style), Text(wording.one_line(event.text), style))
    return note


def _verdict(event: RoundFinished, now: Snapshot) -> Text:
    style = "bold yellow" if event.result.get("verdict") == "rejected" else "bold green"
    return Text(wording.one_line(f"round {now.round} {wording.result(event.result)}"), style)
