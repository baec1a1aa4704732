"""Where the running round stands: the one snapshot behind bars, log lines, `/progress` and `/metrics`.

An observer like any other; reads may come from any thread (HTTP, the bars' refresh). The share done never falls
within a round. The ETA comes from the observed training speed and is None until that is known: a guess that is wrong
by hours is worse than none.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Literal

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
    json_value,
)
from treering_trainer.progress.speed import Speed
from treering_trainer.progress.weights import pace_s, share_before, share_of


@dataclass(frozen=True)
class Snapshot:
    """A round at one moment. Counts are 0, names empty and measured numbers None until they are known.

    `progress` is the share of the whole round, 0..1; `eta_s` the seconds until its end. `done` and `total` belong to
    the running stage, in `unit`s; in `train` they are images over the whole training. `epoch` is the last finished
    one, `losses` and `learning_rate` are its own. `strategy` is known once analysed. `measured` maps (metric, labels)
    to values. Times are Unix seconds.
    """

    phase: Literal["waiting", "running", "finished"] = "waiting"
    line: str = ""
    round: int = 0
    attempt: int = 0
    increments: tuple[str, ...] = ()
    reason: str = ""
    strategy: str = ""
    strategy_reason: str = ""
    started_s: float | None = None
    updated_s: float | None = None
    progress: float = 0.0
    eta_s: float | None = None
    stage: str = ""
    stage_index: int = 0
    stages: int = 0
    done: int = 0
    total: int = 0
    unit: str = ""
    detail: str = ""
    epoch: int | None = None
    epochs: int | None = None
    losses: Mapping[str, float] = field(default_factory=dict)
    learning_rate: float | None = None
    fitness: float | None = None
    images_done: int | None = None
    images_per_s: float | None = None
    stage_durations_s: Mapping[str, float] = field(default_factory=dict)
    measured: Mapping[tuple[str, tuple[tuple[str, str], ...]], float] = field(default_factory=dict)
    message: str = ""
    result: Mapping[str, Any] | None = None

    @property
    def percent(self) -> float:
        """Percent of the whole round, 0..100, with one decimal."""
        return round(100 * self.progress, 1)

    def data(self) -> dict[str, Any]:
        """The snapshot as JSON values: what `/progress` answers. Times are RFC 3339, in UTC."""
        values = asdict(replace(self, measured={}))
        for name in ("started", "updated"):
            values[name] = rfc3339(values.pop(f"{name}_s"))
        del values["measured"]
        values["percent"] = self.percent
        data: dict[str, Any] = json_value(values)
        return data


class ProgressState:
    """Keeps the snapshot of the running round up to date; itself an `Observer`. Thread-safe.

    Args:
        clock: monotonic seconds, for speeds.
        now: Unix seconds, for the times in the snapshot.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic, now: Callable[[], float] = time.time) -> None:
        self._clock, self._now = clock, now
        self._lock = threading.Lock()
        self._snapshot = Snapshot()
        self._speed = Speed()

    def snapshot(self) -> Snapshot:
        """The round as it stands now."""
        with self._lock:
            return self._snapshot

    def __call__(self, event: Event) -> None:
        """Take `event` into the snapshot. `RoundStarted` begins a new one."""
        with self._lock:
            self._snapshot = replace(self._after(event), updated_s=self._now())

    def _after(self, event: Event) -> Snapshot:
        match event:
            case RoundStarted():
                return self._round_started(event)
            case StageStarted():
                return self._stage_started(event)
            case StageProgress():
                return self._stage_progress(event)
            case EpochFinished():
                return self._epoch_finished(event)
            case StageFinished():
                return self._stage_finished(event)
            case StrategyChosen():
                return replace(self._snapshot, strategy=event.strategy, strategy_reason=event.reason)
            case RoundFinished():
                return replace(self._snapshot, phase="finished", progress=1.0, eta_s=0.0, stage="", result=event.result)
            case Measured():
                key = (event.metric, tuple(sorted(event.labels.items())))
                return replace(self._snapshot, measured={**self._snapshot.measured, key: event.value})
            case Message():
                return replace(self._snapshot, message=event.text)

    def _round_started(self, event: RoundStarted) -> Snapshot:
        self._speed = Speed()
        return Snapshot(
            phase="running",
            line=event.line,
            round=event.round,
            attempt=event.attempt,
            increments=event.increments,
            reason=event.reason,
            started_s=self._now(),
        )

    def _stage_started(self, event: StageStarted) -> Snapshot:
        before = share_before(event.stage, event.index, event.total)
        snapshot = replace(self._snapshot, stage=event.stage, stage_index=event.index, stages=event.total)
        return self._moved(replace(snapshot, done=0, total=0, unit="", detail=""), before)

    def _stage_progress(self, event: StageProgress) -> Snapshot:
        snapshot = replace(
            self._snapshot, done=event.done, total=event.total, unit=event.unit, detail=event.detail, stage=event.stage
        )
        if event.stage == "train":
            self._speed.saw(self._clock(), event.done)
            speed = self._speed.recent or snapshot.images_per_s
            snapshot = replace(snapshot, images_done=event.done, images_per_s=speed)
        return self._moved(snapshot, self._reached(snapshot, event.done / event.total if event.total > 0 else 0.0))

    def _epoch_finished(self, event: EpochFinished) -> Snapshot:
        record = event.record
        snapshot = replace(
            self._snapshot,
            epoch=record.epoch,
            epochs=event.epochs,
            losses=record.losses,
            learning_rate=record.learning_rate,
            fitness=record.fitness,
            images_per_s=self._speed.recent or record.images_per_s,
        )
        return self._moved(snapshot, self._reached(snapshot, record.epoch / event.epochs if event.epochs > 0 else 0.0))

    def _stage_finished(self, event: StageFinished) -> Snapshot:
        durations = {**self._snapshot.stage_durations_s, event.stage: event.duration_s}
        snapshot = replace(self._snapshot, stage_durations_s=durations)
        return replace(self._moved(snapshot, self._reached(snapshot, 1.0)), stage="", detail="")

    def _reached(self, snapshot: Snapshot, fraction: float) -> float:
        """Share of the round done when `fraction` of the running stage is."""
        before = share_before(snapshot.stage, snapshot.stage_index, snapshot.stages)
        return before + min(max(fraction, 0.0), 1.0) * share_of(snapshot.stage, snapshot.stages)

    def _moved(self, snapshot: Snapshot, reached: float) -> Snapshot:
        snapshot = replace(snapshot, progress=min(1.0, max(self._snapshot.progress, reached)))
        return replace(snapshot, eta_s=self._eta_s(snapshot))

    def _eta_s(self, snapshot: Snapshot) -> float | None:
        """Training by its speed, the stages after it by the pace of those before: they scale with the data."""
        pace = pace_s(snapshot.stage_durations_s)
        if "train" in snapshot.stage_durations_s:
            return None if pace is None else (1.0 - snapshot.progress) * pace
        if snapshot.stage != "train" or snapshot.total <= 0 or self._speed.mean is None:
            return None
        train_s = max(0, snapshot.total - snapshot.done) / self._speed.mean
        share_after = 1.0 - self._reached(snapshot, 1.0)
        return train_s + share_after * (pace or 0.0)


def rfc3339(unix_s: float | None) -> str | None:
    """Unix seconds as `2026-11-23T21:50:00Z`."""
    if unix_s is None:
        return None
    return datetime.fromtimestamp(unix_s, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
