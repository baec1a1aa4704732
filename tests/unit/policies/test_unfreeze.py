"""From the top down: which layers stand still in which stage, and how the rest learns meanwhile."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from pydantic import ValidationError

from tests.plugins.tiny_training import (
    Audience,
    Killed,
    make_recipe,
    make_samples,
    make_settings,
    tensors_of,
    tiny_model,
)
from treering_api import BadSpecError, Freeze, Unfreeze, UnfreezeStage
from treering_trainer.policies.freeze import FreezePolicy
from treering_trainer.policies.interface import Policy, Situation
from treering_trainer.policies.unfreeze import SCHEDULES, UnfreezePolicy, phases_of
from treering_trainer.yolo.loop import TreeringTrainer
from treering_trainer.yolo.toolbox import YoloToolbox
from treering_trainer.yolo.training import Trained, train

PARTS = {"backbone": tuple("0123456"), "neck": tuple("789"), "head": ("10",)}
BACKBONE = tuple(f"model.{index}." for index in range(7))
HEAD = "model.10.cv3.0.2.weight"
DEEP = "model.0.conv.weight"
STAGES = (
    UnfreezeStage(learns="neck", share=0.5, learning_rate_factor=3.0, batch_factor=2, weight_decay_factor=10.0),
    UnfreezeStage(learns="all", share=0.5, learning_rate_factor=0.5),
)


def situation(strategy: str = "incremental") -> Situation:
    return Situation(strategy, 0, ("a", "b", "c"), toolbox=YoloToolbox(64, "cpu"))


def unfreeze(stages: tuple[UnfreezeStage, ...] = STAGES) -> UnfreezePolicy:
    return UnfreezePolicy(Unfreeze(schedule="custom", stages=stages), situation())


class Steps:
    """Every optimizer step of a training: what was set, and what it did."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.seen: list[dict[str, object]] = []
        self.weights: list[dict[str, torch.Tensor]] = []
        self.states: list[dict[str, dict[str, torch.Tensor]]] = []
        step = TreeringTrainer.optimizer_step

        def watched(trainer: TreeringTrainer) -> None:
            step(trainer)
            groups = {group["param_group"]: group for group in trainer.optimizer.param_groups}
            self.seen.append(
                {
                    "lr": groups["weight"]["lr"],
                    "decay": groups["weight"]["weight_decay"],
                    "bn": groups["bn"]["weight_decay"],
                }
            )
            self.weights.append(tensors_of(trainer.network))
            named = dict(trainer.network.named_parameters())
            self.states.append(
                {
                    name: {key: value.clone() for key, value in trainer.optimizer.state[named[name]].items()}
                    for name in (HEAD, DEEP)
                    if named[name] in trainer.optimizer.state
                }
            )

        monkeypatch.setattr(TreeringTrainer, "optimizer_step", watched)


def run(
    folder: Path, pictures: Path, policies: tuple[Policy, ...], *, kill_at: int | None = None, optimizer: str = "AdamW"
) -> tuple[Trained, Audience]:
    recipe, audience = make_recipe(
        folder,
        make_samples(pictures, 6),
        settings=make_settings(epochs=4, batch=2, optimizer=optimizer),  # type: ignore[arg-type]
        policies=policies,
        kill_at=kill_at,
    )
    return train(recipe, tiny_model(), None), audience


@pytest.mark.parametrize(
    ("learns", "frozen"),
    [("head", tuple("0123456789")), ("neck", tuple("0123456")), ("backbone", tuple("0123")), ("all", ())],
)
def test_phases__what_is_frozen(learns: str, frozen: tuple[str, ...]) -> None:
    (phase,) = phases_of([UnfreezeStage.model_validate({"learns": learns})], PARTS)
    assert (phase.until, phase.frozen) == (1.0, frozen)


def test_phases__shares_are_scaled() -> None:
    stages = [
        UnfreezeStage(learns="head", share=0.2),
        UnfreezeStage(learns="neck", share=0.2),
        UnfreezeStage(learns="all", share=0.4),
    ]
    assert [phase.until for phase in phases_of(stages, PARTS)] == pytest.approx([0.25, 0.5, 1.0])


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_schedules__end_with_everything_at_the_round_s_own_settings(schedule: str) -> None:
    *frozen, last = phases_of(SCHEDULES[schedule], PARTS)
    assert (last.frozen, last.learning_rate_factor, last.batch_factor, last.weight_decay_factor) == ((), 1, 1, 1)
    depths = [len(phase.frozen) for phase in (*frozen, last)]
    assert depths == sorted(depths, reverse=True) and all(phase.batch_factor > 1 for phase in frozen)


def test_phases__more_of_the_backbone_than_there_is() -> None:
    with pytest.raises(
        BadSpecError, match=r"stages\[0\].backboneLayers: 8 layers are to learn .* has 7\. Give at most 7"
    ):
        phases_of([UnfreezeStage(learns="backbone", backbone_layers=8)], PARTS)


@pytest.mark.parametrize(
    ("strategy", "rounds", "count"), [("incremental", "incremental", 2), ("full", "incremental", 0), ("full", "all", 2)]
)
def test_phases__only_in_the_rounds_that_were_asked_for(strategy: str, rounds: str, count: int) -> None:
    policy = UnfreezePolicy(Unfreeze.model_validate({"rounds": rounds}), situation(strategy))
    assert len(policy.phases(tiny_model())) == count


def test_spec__stages_without_custom_are_refused() -> None:
    with pytest.raises(ValidationError, match="stages stand there, and schedule is not custom"):
        Unfreeze(stages=STAGES)


def test_training__stage_by_stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    steps = Steps(monkeypatch)
    start = tensors_of(tiny_model())
    trained, audience = run(tmp_path / "train", tmp_path / "p", (unfreeze(),))
    shown = [done for done, _ in audience.passes]
    sizes = [after - before for before, after in zip([0, *shown], shown, strict=False)]
    assert sizes == [4, 2, 4, 2, 2, 2, 2, 2, 2, 2], "twice the batch in the first stage"
    assert audience.passes[-1] == (24, 24) and trained.image_passes == 24

    # frozen parts are bit-equal through the first stage, statistics included, and everything moves in the second
    for weights in steps.weights[:4]:
        assert all(torch.equal(weights[name], start[name]) for name in start if name.startswith(BACKBONE))
    learned = [name for name, _ in tiny_model().named_parameters() if ".dfl." not in name]
    moving = {name for name in learned if not torch.equal(steps.weights[3][name], start[name])}
    assert moving == {name for name in learned if not name.startswith(BACKBONE)}
    assert all(not torch.equal(steps.weights[-1][name], steps.weights[3][name]) for name in learned)
    assert not torch.equal(steps.weights[-1]["model.0.bn.running_mean"], start["model.0.bn.running_mean"])

    # learning rate: the schedule's at that place, warmed up over 1.5 epochs, times the stage's factor
    places = [0, 0.5, 1, 1.5, 2, 2 + 1 / 3, 2 + 2 / 3, 3, 3 + 1 / 3, 3 + 2 / 3]
    factors = [3.0] * 4 + [0.5] * 6
    expected = [
        2e-3 * ((1 - int(place) / 4) * 0.99 + 0.01) * min(place / 1.5, 1) * factor
        for place, factor in zip(places, factors, strict=True)
    ]
    assert [step["lr"] for step in steps.seen] == pytest.approx(expected)
    assert [step["decay"] for step in steps.seen] == pytest.approx([5e-3] * 4 + [5e-4] * 6)
    assert {step["bn"] for step in steps.seen} == {0.0}
    assert trained.epochs[-1].learning_rate == pytest.approx(expected[-1])


def test_training__adam_runs_on_where_it_ran_and_begins_where_it_thaws(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = Steps(monkeypatch)
    run(tmp_path / "train", tmp_path / "p", (unfreeze(),))
    assert all(DEEP not in state for state in steps.states[:4]) and DEEP in steps.states[4]
    assert [int(state[HEAD]["step"]) for state in steps.states] == list(range(1, 11))
    assert [int(state[DEEP]["step"]) for state in steps.states[4:]] == list(range(1, 7))
    before, after = steps.states[3][HEAD], steps.states[4][HEAD]
    assert float(before["exp_avg"].abs().sum()) > 0
    assert bool((after["exp_avg_sq"] >= 0.999 * before["exp_avg_sq"] * (1 - 1e-5)).all()), "not begun anew"


def test_training__momentum_of_sgd_reaches_its_target(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[float] = []
    step = TreeringTrainer.optimizer_step

    def watched(trainer: TreeringTrainer) -> None:
        step(trainer)
        seen.append(trainer.optimizer.param_groups[0]["momentum"])

    monkeypatch.setattr(TreeringTrainer, "optimizer_step", watched)
    run(tmp_path / "train", tmp_path / "p", (unfreeze(),), optimizer="SGD")
    assert seen[0] == pytest.approx(0.8) and seen[3:] == pytest.approx([0.937] * 7)


@pytest.mark.parametrize("kill_at", [3, 5, 8], ids=["in-the-first-stage", "at-the-boundary", "in-the-second-stage"])
def test_training__resumes_exactly_in_every_stage(kill_at: int, tmp_path: Path) -> None:
    whole, _ = run(tmp_path / "whole", tmp_path / "p", (unfreeze(),))
    with pytest.raises(Killed):
        run(tmp_path / "cut", tmp_path / "p", (unfreeze(),), kill_at=kill_at)
    resumed, _ = run(tmp_path / "cut", tmp_path / "p", (unfreeze(),))
    assert resumed.attempts == 2 and resumed.image_passes == whole.image_passes
    left, right = tensors_of(whole.model), tensors_of(resumed.model)
    assert [name for name in left if not torch.equal(left[name], right[name])] == []
    assert [epoch.learning_rate for epoch in whole.epochs] == [epoch.learning_rate for epoch in resumed.epochs]


def test_training__what_freeze_holds_stays_frozen_in_every_stage(tmp_path: Path) -> None:
    start = tensors_of(tiny_model())
    freeze = FreezePolicy(Freeze(layers=2), situation())
    after = tensors_of(run(tmp_path / "train", tmp_path / "p", (freeze, unfreeze()))[0].model)
    assert all(torch.equal(after[name], start[name]) for name in start if name.startswith(BACKBONE[:2]))
    assert not torch.equal(after["model.3.conv.weight"], start["model.3.conv.weight"])


def test_training__a_stage_in_which_nothing_would_learn(tmp_path: Path) -> None:
    freeze = FreezePolicy(Freeze(names=("9", "10")), situation())
    with pytest.raises(BadSpecError, match=r"spec.policies.unfreeze: in stage 1 nothing would learn"):
        run(tmp_path / "train", tmp_path / "p", (freeze, unfreeze()))
