"""The same for every policy: it acts, trains, resumes exactly and gets on with the others."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.plugins.tiny_training import (
    IMAGE_SIZE,
    Killed,
    differing,
    make_recipe,
    make_samples,
    make_settings,
    seeing_model,
    tensors_of,
    tiny_model,
)
from tests.unit.policies.settings import ROWS, Row
from treering_api import Policies
from treering_api.policies import BLOCKS
from treering_trainer.memory import Memory, MemoryItem, Remembered
from treering_trainer.policies.interface import Phase, Policy, Situation, TrainingData
from treering_trainer.policies.registry import POLICIES, active_policies
from treering_trainer.yolo.detector import YoloDetector
from treering_trainer.yolo.toolbox import YoloToolbox
from treering_trainer.yolo.training import Trained, train

NAMES = ("a", "b", "c")
TOOLBOX = YoloToolbox(IMAGE_SIZE, "cpu")
EVERY_ROW = pytest.mark.parametrize(("field", "row"), ROWS.items(), ids=ROWS.keys())


@pytest.fixture
def situation(tmp_path: Path) -> Situation:
    """A second round: classes a and b are known, three images remembered, c is new."""
    folder = tmp_path / "bank"
    remembered = make_samples(folder, 3, classes=2, seed=7)
    items = []
    for sample in remembered:
        sample.image.rename(folder / f"{sample.sha256}.png")
        items.append(MemoryItem.of(sample, NAMES, increment="first", classes=("a", "b")))
    memory = Memory(items=tuple(items))
    teacher = YoloDetector(seeing_model(("a", "b")), 64, "cpu")
    samples = Remembered(memory, folder).samples(NAMES)
    return Situation(
        "incremental", 0, NAMES, ("a", "b"), teacher, memory, samples, toolbox=TOOLBOX, folder=tmp_path / "drawn"
    )


def composed(policies: tuple[Policy, ...], folder: Path) -> TrainingData:
    samples = make_samples(folder / "pictures", 5)
    data = TrainingData(NAMES, samples, (frozenset({"c"}),) * len(samples))
    for policy in policies:
        data = policy.compose(data)
    return data


def run(
    settings: Policies,
    situation: Situation,
    folder: Path,
    *,
    kill_at: int | None = None,
    heard: list[tuple[int, int]] | None = None,
) -> Trained:
    policies = active_policies(settings, situation)
    data = composed(policies, folder.parent)
    recipe, audience = make_recipe(
        folder,
        data.new,
        data.memory,
        settings=make_settings(epochs=2, batch=3),
        policies=policies,
        batch_share=data.batch_share,
        repeats=data.repeats,
        kill_at=kill_at,
    )
    trained = train(recipe, tiny_model(NAMES), None)
    if heard is not None:
        heard.extend(audience.passes)
    return trained


def phases(policies: tuple[Policy, ...]) -> tuple[Phase, ...]:
    return tuple(phase for policy in policies for phase in policy.phases(tiny_model(NAMES)))


def test_rows__every_policy_has_one() -> None:
    assert list(ROWS) == [field for field, _ in POLICIES], (
        "give every policy of registry.POLICIES a row in tests/unit/policies/settings.py"
    )


def test_policies__every_block_of_the_spec_is_a_policy() -> None:
    assert sorted(BLOCKS) == sorted(field for field, _ in POLICIES)


@EVERY_ROW
def test_row__acts_under_the_name_that_the_spec_gives(
    field: str, row: Row, situation: Situation, tmp_path: Path
) -> None:
    (policy,) = active_policies(row.policies(field), situation)
    assert policy.name in row.policies(field).active()
    assert row.acts is not None or row.leaves is not None
    shown = (composed((policy,), tmp_path), policy.frozen(tiny_model(NAMES)), phases((policy,)))
    assert row.acts is None or row.acts(*shown)


@EVERY_ROW
def test_row__does_nothing_where_it_is_off(field: str, row: Row, situation: Situation) -> None:
    block = row.block.model_copy(update={"enabled": False})
    assert active_policies(Policies.model_validate({"preset": "none", field: block}), situation) == ()


@EVERY_ROW
def test_row__a_first_round_passes(field: str, row: Row, tmp_path: Path) -> None:
    trained = run(row.policies(field), Situation("full", 0, NAMES, toolbox=TOOLBOX), tmp_path / "train")
    assert len(trained.epochs) == 2


@EVERY_ROW
def test_row__trains_and_resumes_exactly(field: str, row: Row, situation: Situation, tmp_path: Path) -> None:
    heard: list[tuple[int, int]] = []
    whole = run(row.policies(field), situation, tmp_path / "whole", heard=heard)
    assert row.leaves is None or row.leaves(whole)
    assert heard[-1][0] == heard[-1][1], "progress knows the images of the training beforehand"
    assert whole.image_passes == heard[-1][1] or field == "ewc", "ewc measures importance with gradients, too"
    with pytest.raises(Killed):
        run(row.policies(field), situation, tmp_path / "cut", kill_at=len(heard))
    resumed = run(row.policies(field), situation, tmp_path / "cut")
    assert resumed.attempts == 2
    assert differing(tensors_of(whole.model), tensors_of(resumed.model)) == []
    assert differing(tensors_of(whole.model), tensors_of(tiny_model(NAMES))) != []
    assert whole.kept.keys() == resumed.kept.keys()
    assert not any(differing(held, resumed.kept[name]) for name, held in whole.kept.items())
    assert (whole.chosen, whole.forward_passes) == (resumed.chosen, resumed.forward_passes)


def test_rows__all_together_in_the_declared_order(situation: Situation, tmp_path: Path) -> None:
    settings = Policies.model_validate({"preset": "none", **{field: row.block for field, row in ROWS.items()}})
    policies = active_policies(settings, situation)
    place = {policy.name: index for index, policy in enumerate(policies)}
    assert len(place) == len(ROWS)
    for policy in policies:
        assert all(place[other] < place[policy.name] for other in policy.after if other in place)
    data = composed(policies, tmp_path)
    frozen = tuple(name for policy in policies for name in policy.frozen(tiny_model(NAMES)))
    assert all(row.acts(data, frozen, phases(policies)) for row in ROWS.values() if row.acts is not None)
    heard: list[tuple[int, int]] = []
    whole = run(settings, situation, tmp_path / "whole", heard=heard)
    assert all(row.leaves(whole) for row in ROWS.values() if row.leaves is not None)
    with pytest.raises(Killed):
        run(settings, situation, tmp_path / "cut", kill_at=len(heard))
    assert differing(tensors_of(whole.model), tensors_of(run(settings, situation, tmp_path / "cut").model)) == []
