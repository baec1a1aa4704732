"""How far a running round is, as people read it in the status."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests.unit.operator.decide.world import begun, condition

PROGRESS = {
    "round": 1, "attempt": 2, "percent": 45.7, "stage": "train", "epoch": 9, "epochs": 20, "eta_s": 5400.4,
    "images_per_s": 81.26, "strategy": "full", "strategy_reason": "nothing to forget yet",
}  # fmt: skip


def test_decide__running_with_progress() -> None:
    world, job = begun()
    world.start(job.name)
    world.progress = dict(PROGRESS)
    decision = world.step()
    status, progress = decision.status, decision.status.progress
    assert progress is not None
    assert (progress.percent, progress.stage, progress.epoch, progress.epochs) == (45, "train", 9, 20)
    assert (progress.eta_seconds, progress.eta, progress.images_per_second) == (5400, "1h30m", 81.3)
    assert (status.state, status.attempt, status.strategy) == ("Training", 2, "full")
    assert status.strategy_reason == "nothing to forget yet"
    assert condition(status, "Training") == ("True", "RoundRunning")
    assert decision.again == timedelta(seconds=15)


def test_decide__time_left_alone_is_no_news() -> None:
    world, job = begun()
    world.start(job.name)
    world.progress = dict(PROGRESS)
    world.quiet()
    before = world.status()
    world.tick(seconds=15)
    world.progress = PROGRESS | {"eta_s": 5380.0, "images_per_s": 80.0}
    assert world.decide().status == before
    world.progress = PROGRESS | {"percent": 46.0}
    assert world.decide().status.progress != before.progress


def test_decide__unanswered_question_keeps_what_was_reached() -> None:
    world, job = begun()
    world.start(job.name)
    world.progress = dict(PROGRESS)
    before = world.step().status.progress
    world.progress = None
    assert world.step().status.progress == before


@pytest.mark.parametrize(
    "odd",
    [{"round": 7}, {"percent": "45"}, {"percent": float("nan")}, {"percent": -3}, {"percent": 10**400}, {}],
    ids=["other-round", "text", "not-a-number", "negative", "no-float", "empty"],
)
def test_decide__odd_progress_is_not_shown(odd: dict[str, Any]) -> None:
    world, job = begun()
    world.start(job.name)
    world.progress = PROGRESS | odd if odd else {}
    assert world.step().status.progress is None


def test_decide__pod_failed_and_is_retried() -> None:
    world, job = begun()
    pod = world.start(job.name)
    world.progress = dict(PROGRESS)
    world.step()
    world.end_pod(pod, 137, reason="OOMKilled")
    world.progress = None
    decision = world.step()
    assert decision.status.state == "Retrying"
    assert "more memory than its limit" in decision.status.message
    assert decision.status.progress is not None and decision.status.progress.eta is None
    assert [notice.reason for notice in decision.notices] == ["RoundInterrupted"]
    world.tick(seconds=10)
    world.start(job.name)
    assert world.step().status.state == "Training"
