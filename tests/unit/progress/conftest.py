"""A round to tell about, and a clock that stands still until told."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from treering_trainer.progress import (
    EpochFinished,
    Event,
    Measured,
    Message,
    ProgressServer,
    ProgressState,
    RoundFinished,
    RoundStarted,
    StageFinished,
    StageProgress,
    StageStarted,
    StrategyChosen,
)
from treering_trainer.progress.weights import STAGE_WEIGHTS
from treering_trainer.records import EpochRecord

EPOCHS, IMAGES_PER_EPOCH = 4, 100


class Clock:
    """Seconds that pass when `tick` says so."""

    def __init__(self) -> None:
        self.now_s = 1_000_000.0

    def __call__(self) -> float:
        return self.now_s

    def tick(self, seconds: float) -> None:
        self.now_s += seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def state(clock: Clock) -> ProgressState:
    return ProgressState(clock, clock)


@pytest.fixture
def server(state: ProgressState) -> Iterator[ProgressServer]:
    with ProgressServer(state, "127.0.0.1", 0) as running:
        yield running


@pytest.fixture
def whole_round(clock: Clock) -> Iterator[Event]:
    """Every kind of event in the order of a real round; the clock goes on between them."""
    return play(clock)


def play(clock: Clock) -> Iterator[Event]:
    yield RoundStarted("cards", 2, 1, ("new-ranks",), "first outstanding increment")
    for index, stage in enumerate(STAGE_WEIGHTS, 1):
        yield StageStarted(stage, index, len(STAGE_WEIGHTS))
        if stage == "train":
            yield from train(clock)
        else:
            yield from short_stage(clock, stage)
        yield StageFinished(stage, 2.0, f"{stage} went well")
    yield RoundFinished({"verdict": "published", "map50": 0.912, "map50_before": 0.887, "forgetting": 0.004})


def train(clock: Clock) -> Iterator[Event]:
    total = EPOCHS * IMAGES_PER_EPOCH
    yield StageProgress("train", 0, total, "images")
    for epoch in range(1, EPOCHS + 1):
        for batch in range(1, 11):
            clock.tick(1.0)
            yield StageProgress("train", (epoch - 1) * IMAGES_PER_EPOCH + batch * 10, total, "images")
        yield EpochFinished(epoch_record(epoch), EPOCHS)


def short_stage(clock: Clock, stage: str) -> Iterator[Event]:
    for done in (0, 5, 10):
        clock.tick(1.0)
        yield StageProgress(stage, done, 10, "files")
    if stage == "verify":
        yield Message("warning", "2 images were quarantined")
        yield Measured("treering_round_findings", 2, {"severity": "quarantine"})
    if stage == "analyse":
        yield StrategyChosen("incremental", "retraining on all would cost 9.1 times as much")
        yield Measured("treering_round_drift_ratio", 0.93)
        yield Measured("treering_round_warnings", 2)
        yield Measured("treering_round_cases", 3, {"kind": "missed"})
        yield Measured("treering_round_refused_exports", 1)
    if stage == "evaluate":
        yield Measured("treering_round_map50_ratio", 0.887, {"when": "before"})


def epoch_record(epoch: int) -> EpochRecord:
    return EpochRecord(epoch=epoch, losses={"box": 1.5 / epoch, "cls": 0.5}, learning_rate=0.01, images_per_s=10.0)
