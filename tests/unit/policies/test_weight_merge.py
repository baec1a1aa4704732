"""The best point between old and new is found where it is known, and new classes stay new."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import torch
from torch import nn

from tests.plugins.tiny_training import IMAGE_SIZE, differing, make_samples, tensors_of, tiny_model
from treering_api import WeightMerge
from treering_trainer.dataset import Sample
from treering_trainer.policies.interface import Shown, Situation
from treering_trainer.policies.weight_merge import Point, WeightMergePolicy, blend, search
from treering_trainer.yolo.detector import YoloDetector
from treering_trainer.yolo.head import grow_head
from treering_trainer.yolo.parts import class_branches, last_convolution
from treering_trainer.yolo.toolbox import YoloToolbox
from treering_trainer.yolo.types import DetectionModel

OLD, NAMES = ("a", "b"), ("a", "b", "c")
WEIGHTS = {"backbone": "model.0.conv.weight", "neck": "model.9.cv1.conv.weight", "head": "model.10.cv2.0.0.conv.weight"}


@dataclass(frozen=True)
class KnownBest(YoloToolbox):
    """mAP50 is highest where each part lies at `best` of the way from old to new; the weights say where they are."""

    best: Point = (1.0, 1.0, 1.0)
    measured: list[tuple[int, int]] = field(default_factory=list)
    recalibrated: list[frozenset[str]] = field(default_factory=list)

    def map50(self, model: nn.Module, samples: Sequence[Sample]) -> dict[str, float]:
        """The same for every class that the images show, and nothing for the others."""
        state, old, new = model.state_dict(), old_model().state_dict(), new_model().state_dict()
        distance = 0.0
        for name, wanted in zip(WEIGHTS.values(), self.best, strict=True):
            way = (new[name] - old[name]).flatten()
            share = float((state[name] - old[name]).flatten() @ way / (way @ way))
            distance += abs(share - wanted)
        shown = sorted({int(row[0]) for sample in samples for row in sample.boxes})
        self.measured.append((len(samples), len(shown)))
        return {NAMES[index]: 1 - distance / 3 for index in shown}

    def measure_statistics(self, model: nn.Module, samples: Sequence[Sample], *, held: Collection[str] = ()) -> None:
        """Really."""
        self.recalibrated.append(frozenset(held))
        super().measure_statistics(model, samples, held=held)


def old_model() -> DetectionModel:
    return tiny_model(OLD, seed=1)


def new_model() -> DetectionModel:
    """Grown from the old one, and then as if trained: weights and statistics moved, the first layer's were held."""
    model = grow_head(old_model(), NAMES, seed=0)
    other = grow_head(tiny_model(OLD, seed=2), NAMES, seed=3).state_dict()
    held = {name: tensor for name, tensor in model.state_dict().items() if name.startswith("model.0.bn.running")}
    model.load_state_dict({**other, **held})
    return model.eval()


def merged(
    folder: Path, settings: WeightMerge, best: Point, *, val: bool = False, memory: bool = True
) -> tuple[DetectionModel, WeightMergePolicy, KnownBest]:
    toolbox = KnownBest(IMAGE_SIZE, "cpu", best=best)
    remembered = make_samples(folder / "memory", 2, classes=2, seed=5) if memory else ()
    situation = Situation(
        "incremental",
        0,
        NAMES,
        OLD,
        YoloDetector(old_model(), IMAGE_SIZE, "cpu"),
        memory_samples=remembered,
        toolbox=toolbox,
    )
    policy, model = WeightMergePolicy(settings, situation), new_model()
    new = make_samples(folder / "new", 3)
    policy.finish(model, Shown(new, remembered, new[:1] if val else ()))
    return model, policy, toolbox


@pytest.mark.parametrize("share", [0.0, 0.25, 1.0])
def test_blend__share_of_the_way_with_exact_ends_and_new_rows(share: float) -> None:
    old, new = torch.tensor([[1.0], [3.0]]), torch.tensor([[2.0], [1 / 3], [9.0]])
    result = blend(old, new, share)
    torch.testing.assert_close(result[:2], old + share * (new[:2] - old))
    assert torch.equal(result[2:], new[2:])
    if share in (0.0, 1.0):
        assert torch.equal(result[:2], old if share == 0 else new[:2])
    assert blend(torch.tensor(3), torch.tensor(7), share).item() == 7  # a count of batches


@pytest.mark.parametrize("best", [0.0, 0.5, 1.0])
def test_search__whole_network(best: float) -> None:
    point, score = search(lambda point: 1 - abs(point[0] - best), 5, by_part=False)
    assert (point, score) == ((best, best, best), 1.0)


def test_search__parts_go_on_from_the_best_whole() -> None:
    wanted, tried = (0.5, 1.0, 0.0), list[Point]()

    def score(point: Point) -> float:
        tried.append(point)
        return -sum(abs(one - other) for one, other in zip(point, wanted, strict=True))

    assert search(score, 3, by_part=True) == (wanted, 0.0)
    assert len(tried) == len(set(tried)) <= 3 + 3 * 2


def test_search__of_equal_points_the_nearest_to_new() -> None:
    assert search(lambda _: 0.5, 4, by_part=True)[0] == (1.0, 1.0, 1.0)
    assert search(lambda point: 0.5 - 1e-9 * point[0], 4, by_part=False)[0] == (1.0, 1.0, 1.0)


@pytest.mark.parametrize("best", [(0.0,) * 3, (1.0,) * 3, (0.5,) * 3], ids=["old", "new", "between"])
def test_weight_merge__one_point_for_the_model(best: Point, tmp_path: Path) -> None:
    model, policy, _ = merged(tmp_path, WeightMerge(by="model", points=3), best)
    assert policy.account().chosen == {"backbone": best[0], "neck": best[0], "head": best[0], "score": pytest.approx(1)}
    after, old, new = model.state_dict(), old_model().state_dict(), new_model().state_dict()
    for name in WEIGHTS.values():
        torch.testing.assert_close(after[name], torch.lerp(old[name], new[name], best[0]))
    if best[0] == 1.0:
        assert differing(after, new) == []
    if best[0] == 0.0:
        shared = {name: tensor for name, tensor in old.items() if tensor.shape == new[name].shape}
        counts = [name for name in shared if name.endswith("num_batches_tracked")]
        assert set(differing(shared, {name: after[name] for name in shared})) <= set(counts)


def test_weight_merge__a_point_for_each_part(tmp_path: Path) -> None:
    _, policy, _ = merged(tmp_path, WeightMerge(by="part", points=3), (0.5, 1.0, 0.0))
    assert policy.account().chosen == {"backbone": 0.5, "neck": 1.0, "head": 0.0, "score": pytest.approx(1)}


def test_weight_merge__rows_of_new_classes_stay_new(tmp_path: Path) -> None:
    model, _, _ = merged(tmp_path, WeightMerge(points=2), (0.0, 0.0, 0.0))
    rows = zip(_class_rows(model), _class_rows(old_model()), _class_rows(new_model()), strict=True)
    for after, old, new in rows:
        assert torch.equal(after[:2], old)
        assert torch.equal(after[2:], new[2:])


def _class_rows(model: DetectionModel) -> list[torch.Tensor]:
    convolutions = [last_convolution(level) for branch in class_branches(model) for level in branch]
    return [parameter.detach() for layer in convolutions for parameter in layer.parameters()]


def test_weight_merge__statistics_between_the_ends_are_measured_but_for_those_that_were_held(tmp_path: Path) -> None:
    model, policy, toolbox = merged(tmp_path / "on", WeightMerge(points=3, images=2), (0.5, 0.5, 0.5))
    assert toolbox.recalibrated == [frozenset({"model.0.bn"})] * 2  # for the score, and for the result
    assert policy.account().forward_passes == 3 * (2 + 2) + 2 * 2
    plain, _, silent = merged(tmp_path / "off", WeightMerge(points=3, recalibrate=False), (0.5, 0.5, 0.5))
    assert silent.recalibrated == []
    old, new, name = old_model().state_dict(), new_model().state_dict(), "model.1.bn.running_mean"
    torch.testing.assert_close(plain.state_dict()[name], torch.lerp(old[name], new[name], 0.5))
    assert not torch.allclose(model.state_dict()[name], plain.state_dict()[name])
    assert torch.equal(model.state_dict()["model.0.bn.running_mean"], new["model.0.bn.running_mean"])


def test_weight_merge__old_and_new_classes_count_half_each(tmp_path: Path) -> None:
    class OldAndNew(KnownBest):
        def map50(self, model: nn.Module, samples: Sequence[Sample]) -> dict[str, float]:
            return {"a": 0.2, "b": 0.4, "c": 0.9}

    situation = Situation(
        "incremental",
        0,
        NAMES,
        OLD,
        YoloDetector(old_model(), IMAGE_SIZE, "cpu"),
        memory_samples=make_samples(tmp_path, 1),
        toolbox=OldAndNew(IMAGE_SIZE, "cpu"),
    )
    policy = WeightMergePolicy(WeightMerge(points=2), situation)
    policy.finish(new_model(), Shown(make_samples(tmp_path, 1)))
    assert policy.account().chosen["score"] == pytest.approx((0.3 + 0.9) / 2)


def test_weight_merge__what_it_is_measured_on(tmp_path: Path) -> None:
    _, policy, toolbox = merged(tmp_path / "val", WeightMerge(points=2, measure="val"), (1.0,) * 3, val=True)
    assert {images for images, _ in toolbox.measured} == {1} and policy.account().remarks == ()
    _, policy, toolbox = merged(tmp_path / "no-val", WeightMerge(points=2, measure="val"), (1.0,) * 3)
    assert {images for images, _ in toolbox.measured} == {2, 3}
    assert policy.account().remarks == (
        "weightMerge: there is no val set to measure on; it was measured on new and remembered images.",
    )
    _, policy, _ = merged(tmp_path / "no-memory", WeightMerge(points=2), (1.0,) * 3, memory=False)
    assert policy.account().remarks == ("weightMerge: there is no memory; old classes were not measured.",)


def test_weight_merge__nothing_to_merge(tmp_path: Path) -> None:
    for situation, shown in (
        (Situation("full", 0, NAMES, toolbox=KnownBest(IMAGE_SIZE, "cpu")), Shown(())),
        (
            Situation("incremental", 0, OLD, OLD, YoloDetector(old_model(), IMAGE_SIZE, "cpu")),
            Shown((), trained=False),
        ),
    ):
        model = new_model()
        before = tensors_of(model)
        policy = WeightMergePolicy(WeightMerge(), situation)
        policy.finish(model, shown)
        assert (differing(before, tensors_of(model)), policy.account().chosen) == ([], {})


def test_weight_merge__a_share_that_is_given_is_gone_without_a_look(tmp_path: Path) -> None:
    model, policy, toolbox = merged(tmp_path, WeightMerge(share=0.25, recalibrate=False), (1.0, 1.0, 1.0))
    assert policy.account().chosen == {"backbone": 0.25, "neck": 0.25, "head": 0.25}
    assert (policy.account().forward_passes, toolbox.measured, toolbox.recalibrated) == (0, [], [])
    after, old, new = model.state_dict(), old_model().state_dict(), new_model().state_dict()
    for name in WEIGHTS.values():
        torch.testing.assert_close(after[name], torch.lerp(old[name], new[name], 0.25))


def test_weight_merge__leaves_rounds_with_new_classes_alone(tmp_path: Path) -> None:
    model, policy, _ = merged(tmp_path, WeightMerge(share=0.25, rounds="sameClasses"), (1.0, 1.0, 1.0))
    assert policy.account().chosen == {} and differing(model.state_dict(), new_model().state_dict()) == []
