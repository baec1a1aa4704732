"""What a round tells the world while it runs: a closed set of frozen events.

Emitted by the round's runner and by the stages, taken by observers (bars, log lines, JSON, state). An event is a
fact, in order; it carries its own data and no reference to anything alive, so that it may cross threads.

    RoundStarted
      StageStarted → StageProgress* (train: EpochFinished after each epoch) → StageFinished     for each stage
    RoundFinished          Message and Measured come at any time, StrategyChosen after analyse

A round that goes on where it stopped starts at its first unfinished stage. A round that fails ends without
`RoundFinished`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal

from pydantic import BaseModel

from treering_trainer.records import EpochRecord


@dataclass(frozen=True)
class RoundStarted:
    """A round begins, or goes on after an interruption; round and attempt count from 1."""

    line: str
    round: int
    attempt: int
    increments: tuple[str, ...]
    reason: str


@dataclass(frozen=True)
class StageStarted:
    """A stage begins: the `index`-th (from 1) of `total` stages of the round."""

    stage: str
    index: int
    total: int


@dataclass(frozen=True)
class StageProgress:
    """`done` of `total` units of the running stage are done; a total of 0 means that it isn't known.

    In the stage `train` the unit is `images`, and both numbers are over the whole training, with all its epochs and
    with what earlier attempts did. `detail` is a few words on what is going on, or empty; epoch and losses are shown
    without it.
    """

    stage: str
    done: int
    total: int
    unit: str
    detail: str = ""


@dataclass(frozen=True)
class EpochFinished:
    """One epoch of training ended: the `record.epoch`-th (from 1) of at most `epochs`."""

    record: EpochRecord
    epochs: int


@dataclass(frozen=True)
class StageFinished:
    """A stage ended well after `duration_s` seconds; `summary` is its outcome in one short phrase."""

    stage: str
    duration_s: float
    summary: str


@dataclass(frozen=True)
class StrategyChosen:
    """How the round learns, `incremental` or `full`, and why, in words."""

    strategy: str
    reason: str


@dataclass(frozen=True)
class RoundFinished:
    """A round reached its verdict.

    `result` is a `RoundResult` or `RoundSummary` of `treering_api` as JSON values, with Python's names or the JSON
    ones; observers show its verdict, mAP50, forgetting and GPU-seconds and carry the rest on.
    """

    result: Mapping[str, Any]


@dataclass(frozen=True)
class Measured:
    """A number for a metric of the trainer's catalogue that no other event carries.

    These are findings by severity, and early what `RoundFinished` repeats at the end: mAP50 before and after,
    forgetting, GPU-seconds. `metric` is the full name, `labels` are all its labels but `line`. A later measurement with
    the same labels replaces the earlier one.
    """

    metric: str
    value: float
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Message:
    """Something that a person should read, outside the usual course."""

    level: Literal["info", "warning", "error"]
    text: str


Event = (
    RoundStarted
    | StageStarted
    | StageProgress
    | EpochFinished
    | StageFinished
    | StrategyChosen
    | RoundFinished
    | Measured
    | Message
)
Observer = Callable[[Event], None]


def event_data(event: Event) -> dict[str, Any]:
    """The event's fields as JSON values, without its name."""
    return {item.name: json_value(getattr(event, item.name)) for item in fields(event)}


def json_value(value: Any) -> Any:
    """The same value made of what JSON knows: numbers that aren't finite become null, unknown objects their text."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, BaseModel):
        return json_value(value.model_dump())
    if isinstance(value, Mapping):
        return {str(key): json_value(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [json_value(item) for item in value]
    return str(value)
