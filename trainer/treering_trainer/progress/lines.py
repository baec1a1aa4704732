"""Progress where there is no terminal: plain log lines, few enough to read.

Chosen by the command line when standard error isn't a TTY (pods, CI, nohup). One line at the start and the end of
each stage, and between them at most one every `interval_s`; no colours, no cursor movements, one event a line.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import TextIO

from treering_trainer.progress import wording
from treering_trainer.progress.events import (
    EpochFinished,
    Event,
    Measured,
    Message,
    RoundFinished,
    RoundStarted,
    StageFinished,
    StageProgress,
    StageStarted,
    StrategyChosen,
)
from treering_trainer.progress.state import ProgressState, Snapshot, rfc3339


class Lines:
    """Writes `2026-11-23T21:50:00Z INFO  train: 41%, 12,300/30,000 images, ...`; itself an `Observer`.

    Args:
        stream: where to; standard error by default.
        interval_s: least time between two progress lines, seconds.
        clock: monotonic seconds, for the interval and speeds.
        now: Unix seconds, for the timestamps.
    """

    def __init__(
        self,
        stream: TextIO | None = None,
        interval_s: float = 10.0,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._stream = stream or sys.stderr
        self._interval_s = interval_s
        self._clock, self._now = clock, now
        self._state = ProgressState(clock, now)
        self._last_s = clock()

    def __call__(self, event: Event) -> None:
        """Write what `event` has to say, if it is time for it."""
        self._state(event)
        match event:
            case StageProgress() | EpochFinished():
                self._progress()
            case StageStarted():
                self._last_s = self._clock()
                self._write("INFO", f"{wording.one_line(event.stage)}: started ({event.index} of {event.total})")
            case Message():
                self._write(event.level.upper(), wording.one_line(event.text))
            case Measured() | StrategyChosen():
                pass
            case _:
                self._write("INFO", _milestone(event, self._state.snapshot()))

    def _progress(self) -> None:
        if self._clock() - self._last_s >= self._interval_s:
            self._last_s = self._clock()
            self._write("INFO", _standing(self._state.snapshot()))

    def _write(self, level: str, text: str) -> None:
        self._stream.write(f"{rfc3339(self._now())} {level:<7} {text}\n")
        self._stream.flush()


def _milestone(event: RoundStarted | StageFinished | RoundFinished, now: Snapshot) -> str:
    match event:
        case RoundStarted():
            increments = ", ".join(event.increments)
            text = f"{event.line}: round {event.round}, attempt {event.attempt}: {increments} ({event.reason})"
        case StageFinished():
            text = f"{event.stage}: done in {wording.duration(event.duration_s)}: {event.summary}".removesuffix(": ")
        case RoundFinished():
            text = f"{now.line}: round {now.round} {wording.result(event.result)}"
    return wording.one_line(text)


def _standing(now: Snapshot) -> str:
    """Where the round stands: `train: round 41%, 12,300/30,000 images, epoch 3/20, box 1.23, cls 0.567, ...`."""
    parts = [f"round {now.percent:.0f}%", wording.count(now.done, now.total, now.unit) if now.unit else "", now.detail]
    if now.stage == "train":
        parts += [
            f"epoch {now.epoch}/{now.epochs}" if now.epoch is not None else "",
            wording.losses(now.losses),
            wording.speed(now.images_per_s) if now.images_per_s else "",
        ]
    parts.append(f"{wording.duration(now.eta_s)} left" if now.eta_s is not None else "")
    return wording.one_line(f"{now.stage}: " + ", ".join(part for part in parts if part))
