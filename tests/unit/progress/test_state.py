from __future__ import annotations

import json
import math
import random
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from treering_api.plan import STAGES
from treering_trainer.progress import (
    EpochFinished,
    Event,
    Measured,
    Message,
    ProgressState,
    RoundFinished,
    RoundStarted,
    StageFinished,
    StageProgress,
    StageStarted,
    StrategyChosen,
)
from treering_trainer.progress.speed import WINDOW_S
from treering_trainer.progress.weights import STAGE_WEIGHTS
from treering_trainer.records import EpochRecord

if TYPE_CHECKING:
    from tests.unit.progress.conftest import Clock

STARTED = RoundStarted("cards", 2, 1, ("new-ranks",), "first outstanding increment")
TRAINING = StageStarted("train", 5, 9)


def tell(state: ProgressState, *events: Event) -> None:
    for event in events:
        state(event)


def images(done: int, total: int = 1000) -> StageProgress:
    return StageProgress("train", done, total, "images")


def epoch(number: int) -> EpochRecord:
    return EpochRecord(epoch=number, losses={"box": 1.5}, learning_rate=0.01, images_per_s=7.0, fitness=0.4)


def test_weights__are_the_stages_of_the_plan_in_order() -> None:
    assert tuple(STAGE_WEIGHTS) == STAGES
    assert STAGE_WEIGHTS["train"] > sum(STAGE_WEIGHTS.values()) / 2


def test_snapshot__waits_before_the_round(state: ProgressState) -> None:
    now = state.snapshot()
    assert (now.phase, now.percent, now.eta_s, now.stage) == ("waiting", 0.0, None, "")


def test_strategy__is_known_once_analysed(state: ProgressState) -> None:
    tell(state, STARTED)
    assert (state.snapshot().data()["strategy"], state.snapshot().data()["strategy_reason"]) == ("", "")
    tell(state, StrategyChosen("incremental", "retraining on all would cost 9.1 times as much"), TRAINING)
    data = state.snapshot().data()
    assert (data["strategy"], data["strategy_reason"]) == (
        "incremental", "retraining on all would cost 9.1 times as much",
    )  # fmt: skip


def test_percent__goes_from_0_to_100_and_never_falls(state: ProgressState, whole_round: Iterator[Event]) -> None:
    percents = []
    for event in whole_round:
        state(event)
        percents.append(state.snapshot().percent)
    assert percents[0] == 0.0
    assert percents[-1] == 100.0
    assert percents == sorted(percents)
    assert len(set(percents)) > 30


@pytest.mark.parametrize("seed", range(20))
def test_percent__never_falls_nor_leaves_its_bounds_whatever_comes(clock: Clock, seed: int) -> None:
    chance = random.Random(seed)
    state = ProgressState(clock, clock)
    state(STARTED)
    before = 0.0
    for _ in range(200):
        clock.tick(chance.choice([0.0, 0.1, 60.0]))
        state(any_event(chance))
        now = state.snapshot()
        assert before <= now.progress <= 1.0
        assert now.eta_s is None or now.eta_s >= 0
        before = now.progress


def any_event(chance: random.Random) -> Event:
    stage = chance.choice([*STAGES, "unheard-of"])
    kinds: list[Event] = [
        StageStarted(stage, chance.randint(0, 9), chance.randint(0, 9)),
        StageProgress(stage, chance.randint(-5, 50), chance.randint(0, 40), "images"),
        StageFinished(stage, chance.random(), ""),
        EpochFinished(epoch(chance.randint(0, 30)), chance.randint(0, 20)),
        Message("info", "hello"),
        Measured("treering_round_findings", 1, {"severity": "info"}),
    ]
    return chance.choice(kinds)


def test_percent__training_moves_it_by_images(state: ProgressState) -> None:
    tell(state, STARTED, TRAINING, images(500))
    assert state.snapshot().progress == pytest.approx((12 + 74 / 2) / 100)


def test_percent__training_without_totals_moves_by_epochs(state: ProgressState) -> None:
    tell(state, STARTED, TRAINING, images(500, total=0), EpochFinished(epoch(5), 10))
    assert state.snapshot().progress == pytest.approx((12 + 74 / 2) / 100)


def test_percent__a_stage_that_was_done_before_counts(state: ProgressState) -> None:
    tell(state, STARTED, StageStarted("evaluate", 6, 9))
    assert state.snapshot().percent == 86.0


def test_percent__an_early_stop_jumps_to_the_end_of_training(state: ProgressState) -> None:
    tell(state, STARTED, TRAINING, images(100), StageFinished("train", 10.0, "stopped early"))
    assert state.snapshot().percent == 86.0


def test_percent__an_unknown_stage_counts_by_its_place(state: ProgressState) -> None:
    tell(state, STARTED, StageStarted("discover", 2, 4), StageProgress("discover", 1, 2, "objects"))
    assert state.snapshot().percent == pytest.approx(37.5)


def test_percent__a_second_round_begins_at_0(state: ProgressState, whole_round: Iterator[Event]) -> None:
    tell(state, *whole_round)
    state(RoundStarted("cards", 3, 1, ("more",), "next"))
    now = state.snapshot()
    assert (now.round, now.percent, now.eta_s, now.epoch, now.result) == (3, 0.0, None, None, None)
    assert now.stage_durations_s == {}


def test_eta__is_unknown_before_training_shows_its_speed(state: ProgressState, clock: Clock) -> None:
    tell(state, STARTED, StageStarted("fetch", 1, 9), StageProgress("fetch", 1, 2, "objects"))
    clock.tick(5)
    tell(state, StageFinished("fetch", 5.0, ""), TRAINING)
    assert state.snapshot().eta_s is None
    state(images(0))
    assert state.snapshot().eta_s is None
    clock.tick(0.5)
    state(images(10))
    assert state.snapshot().eta_s is None


def test_eta__is_the_rest_of_the_images_at_the_observed_speed(state: ProgressState, clock: Clock) -> None:
    tell(state, STARTED, TRAINING, images(0))
    clock.tick(20)
    state(images(200))
    assert state.snapshot().eta_s == pytest.approx(800 / 10)


def test_eta__leaves_out_what_an_earlier_attempt_trained(state: ProgressState, clock: Clock) -> None:
    tell(state, STARTED, TRAINING, images(600))
    clock.tick(10)
    state(images(700))
    assert state.snapshot().eta_s == pytest.approx(300 / 10)


def test_eta__adds_later_stages_at_the_pace_of_the_earlier_ones(state: ProgressState, clock: Clock) -> None:
    tell(state, STARTED)
    for stage in ("fetch", "verify", "analyse", "prepare"):
        state(StageFinished(stage, STAGE_WEIGHTS[stage], ""))
    tell(state, TRAINING, images(0))
    clock.tick(10)
    state(images(500))
    assert state.snapshot().eta_s == pytest.approx(10 + 14)
    tell(state, StageFinished("train", 20.0, ""), StageStarted("evaluate", 6, 9))
    assert state.snapshot().eta_s == pytest.approx(14)
    state(StageProgress("evaluate", 1, 2, "images"))
    assert state.snapshot().eta_s == pytest.approx(10)


def test_eta__ends_at_0(state: ProgressState, whole_round: Iterator[Event]) -> None:
    tell(state, *whole_round)
    assert state.snapshot().eta_s == 0.0


def test_speed__is_recent_but_the_eta_holds_the_pauses(state: ProgressState, clock: Clock) -> None:
    tell(state, STARTED, TRAINING, images(0))
    clock.tick(10)
    state(images(100))
    clock.tick(2 * WINDOW_S)  # validation
    for done in range(200, 601, 100):
        state(images(done))
        clock.tick(10)
    now = state.snapshot()
    assert now.images_per_s == pytest.approx(10)
    assert now.eta_s == pytest.approx(400 / (600 / 110))


def test_speed__comes_from_the_epoch_where_batches_are_silent(state: ProgressState) -> None:
    tell(state, STARTED, TRAINING, EpochFinished(epoch(1), 10))
    assert state.snapshot().images_per_s == 7.0


def test_snapshot__holds_epoch_losses_and_durations(state: ProgressState) -> None:
    tell(state, STARTED, StageFinished("fetch", 3.5, "ok"), TRAINING, images(10), EpochFinished(epoch(2), 10))
    now = state.snapshot()
    assert (now.epoch, now.epochs, now.losses, now.learning_rate, now.fitness) == (2, 10, {"box": 1.5}, 0.01, 0.4)
    assert (now.stage, now.stage_index, now.stages, now.done, now.unit) == ("train", 5, 9, 10, "images")
    assert now.stage_durations_s == {"fetch": 3.5}


def test_snapshot__an_older_one_stays_as_it_was(state: ProgressState) -> None:
    tell(state, STARTED, StageFinished("fetch", 3.5, "ok"))
    before = state.snapshot()
    tell(state, StageFinished("verify", 1.0, "ok"), RoundFinished({"verdict": "rejected"}))
    assert before.stage_durations_s == {"fetch": 3.5}
    assert before.phase == "running"


def test_data__is_json_with_times_and_without_nan(state: ProgressState) -> None:
    record = EpochRecord(epoch=1, losses={"box": math.nan}, learning_rate=0.01, images_per_s=1.0)
    tell(
        state,
        STARTED,
        TRAINING,
        EpochFinished(record, 10),
        Measured("treering_round_findings", 1, {"severity": "info"}),
    )
    data = json.loads(json.dumps(state.snapshot().data(), allow_nan=False))
    assert data["losses"] == {"box": None}
    assert data["started"] == data["updated"] == "1970-01-12T13:46:40Z"
    assert data["increments"] == ["new-ranks"]
    assert data["percent"] == pytest.approx(19.4)
    assert "measured" not in data


def test_state__takes_events_from_many_threads(state: ProgressState) -> None:
    state(STARTED)

    def measure(worker: int) -> None:
        for number in range(50):
            state(Measured("treering_round_findings", number, {"severity": f"{worker}"}))

    threads = [threading.Thread(target=measure, args=(worker,)) for worker in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(state.snapshot().measured) == 6
