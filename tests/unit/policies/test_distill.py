"""Distillation on a tiny network: who teaches, what it does to gradients and weights, and what it never touches."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.plugins.tiny_training import (
    ARCHITECTURE,
    TWO_BRANCHES,
    WIDE,
    Killed,
    differing,
    make_recipe,
    make_samples,
    make_settings,
    seeing_model,
    tensors_of,
    tiny_model,
)
from treering_api import BadSpecError, Distill
from treering_trainer.policies.distill import DistillPolicy
from treering_trainer.policies.distill.policy import PROJECTORS
from treering_trainer.policies.interface import Policy, Situation, TrainingData
from treering_trainer.yolo.detector import YoloDetector
from treering_trainer.yolo.head import grow_head
from treering_trainer.yolo.toolbox import YoloToolbox
from treering_trainer.yolo.training import train
from treering_trainer.yolo.types import DetectionModel

NAMES, OLD = ("a", "b", "c"), ("a", "b")
FURTHER = "file:///teachers/large.pt"
UNCHANGED: dict[str, Any] = {
    **dict.fromkeys(("mosaic", "scale", "translate", "hsv_h", "hsv_s", "hsv_v", "fliplr"), 0.0),
    "close_mosaic": 0,
}


def detector(model: DetectionModel) -> YoloDetector:
    return YoloDetector(model, 64, "cpu")


def make_situation(teacher: DetectionModel | None, further: DetectionModel | None = None) -> Situation:
    return Situation(
        strategy="incremental" if teacher is not None else "full",
        seed=0,
        names=NAMES,
        old_names=OLD if teacher is not None else (),
        teacher=None if teacher is None else detector(teacher),
        teachers={} if further is None else {FURTHER: detector(further)},
        toolbox=YoloToolbox(64, "cpu"),
    )


def settings(**values: Any) -> Distill:
    return Distill.model_validate(values)


def further(*classes: str, **values: Any) -> Distill:
    return settings(teachers=[{"uri": FURTHER, "classes": list(classes)}], **values)


def student_of(teacher: DetectionModel) -> DetectionModel:
    """The teacher grown for all names, and a little different."""
    student = grow_head(teacher, NAMES, seed=1).train()
    source = torch.Generator().manual_seed(4)
    with torch.no_grad():
        for parameter in student.parameters():
            if parameter.requires_grad:
                parameter.add_(0.05 * parameter.abs().mean() * torch.randn(parameter.shape, generator=source))
    return student


def pictures(count: int = 2, seed: int = 0) -> dict[str, Any]:
    """A batch without objects."""
    images = torch.rand(count, 3, 64, 64, generator=torch.Generator().manual_seed(seed))
    none = torch.zeros(0)
    files = [f"{seed}-{place}.png" for place in range(count)]
    return {"img": images, "im_file": files, "cls": none.view(0, 1), "bboxes": none.view(0, 4), "batch_idx": none}


def losses_of(policy: Policy, student: DetectionModel, batch: Mapping[str, Any]) -> dict[str, torch.Tensor]:
    """The student holds its statistics, so that an image is the same in any batch."""
    student.train()
    for module in student.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.eval()
    return policy.losses(batch, student(batch["img"]))


@pytest.mark.parametrize("architecture", [ARCHITECTURE, TWO_BRANCHES], ids=["one-branch", "two-branches"])
def test_losses__are_zero_for_the_teacher_itself(architecture: dict[str, Any]) -> None:
    teacher = seeing_model(OLD, architecture=architecture)
    policy, student = DistillPolicy(settings(), make_situation(teacher)), grow_head(teacher, NAMES, seed=1)
    policy.build(student)
    found = losses_of(policy, student, pictures())
    assert set(found) == {"distill_class", "distill_box"}
    assert all(abs(float(term.detach())) < 1e-5 for term in found.values())


@pytest.mark.parametrize("architecture", [ARCHITECTURE, TWO_BRANCHES], ids=["one-branch", "two-branches"])
def test_losses__reach_old_classes_and_boxes_never_new_classes(architecture: dict[str, Any]) -> None:
    teacher = seeing_model(OLD, architecture=architecture)
    policy, student = DistillPolicy(settings(background="teacher"), make_situation(teacher)), student_of(teacher)
    policy.build(student)
    sum(losses_of(policy, student, pictures()).values(), torch.zeros(())).backward()
    parameters = dict(student.named_parameters())
    rows = YoloToolbox(64, "cpu").class_parameters(student)
    assert rows
    for name in rows:
        gradient = parameters[name].grad
        assert gradient is not None
        assert gradient[:2].abs().sum() > 0
        assert gradient[2:].abs().sum() == 0
    assert all(parameter.grad is None for parameter in teacher.parameters())
    sides = [name for name in parameters if ".cv2." in name and name.endswith(".2.weight")]
    assert sides
    assert all(parameters[name].grad.abs().sum() > 0 for name in sides)  # type: ignore[union-attr]


def test_losses__do_not_depend_on_the_batch_or_on_further_new_classes() -> None:
    teacher = seeing_model(OLD)
    policy, student, batch = DistillPolicy(settings(), make_situation(teacher)), student_of(teacher), pictures()
    policy.build(student)
    once = losses_of(policy, student, batch)
    twice = losses_of(
        policy, student, {**batch, "img": batch["img"].repeat(2, 1, 1, 1), "im_file": batch["im_file"] * 2}
    )
    names = (*NAMES, "d", "e", "f")
    wide = DistillPolicy(settings(), replace(make_situation(teacher), names=names))
    grown = grow_head(student, names, seed=2)
    wide.build(grown)
    wider = losses_of(wide, grown, batch)
    for name, value in once.items():
        assert value > 1e-4
        assert torch.isclose(value, twice[name], rtol=1e-4)
        assert torch.isclose(value, wider[name], rtol=1e-4)


def test_losses__an_object_that_the_teacher_can_not_know_is_the_labels_business() -> None:
    teacher = seeing_model(OLD)
    policy, student, batch = DistillPolicy(settings(), make_situation(teacher)), student_of(teacher), pictures(1)
    policy.build(student)
    boxes = torch.cat([rows[:, :4] for rows in boxes_that_it_sees(teacher, batch["img"])])
    objects = {"bboxes": boxes, "batch_idx": torch.zeros(len(boxes)), "cls": torch.full((len(boxes), 1), 2.0)}
    old = {**objects, "cls": torch.zeros(len(boxes), 1)}
    without, unknown, known = (losses_of(policy, student, {**batch, **more}) for more in ({}, objects, old))
    for name, value in without.items():
        assert unknown[name] < value / 2
        assert torch.equal(known[name], value)


def boxes_that_it_sees(model: DetectionModel, images: torch.Tensor) -> list[torch.Tensor]:
    """Every anchor's box, as shares."""
    with torch.no_grad():
        decoded = model(images)[0].transpose(1, 2)
    return [rows[:, :4] / 64 for rows in decoded]


def test_losses__the_background_is_the_teachers_only_where_it_is_told_so() -> None:
    teacher = tiny_model(OLD)  # sees nothing
    student, batch = grow_head(seeing_model(OLD), NAMES, seed=1), pictures()
    found = {}
    for background in ("labels", "teacher"):
        policy = DistillPolicy(settings(background=background), make_situation(teacher))
        policy.build(student)
        found[background] = losses_of(policy, student, batch)["distill_class"]
    assert found["teacher"] > 5 * found["labels"]


def test_losses__two_teachers_of_one_class_share_it() -> None:
    teacher = seeing_model(OLD)
    student, batch = student_of(teacher), pictures()
    alone = DistillPolicy(settings(), make_situation(teacher))
    both = DistillPolicy(further(), make_situation(teacher, copy.deepcopy(teacher)))
    for policy in (alone, both):
        policy.build(student)
    one, two = losses_of(alone, student, batch), losses_of(both, student, batch)
    assert all(torch.isclose(one[name], two[name], rtol=1e-5) for name in one)


def test_teachers__are_read_by_name_whatever_their_order_size_and_head() -> None:
    large = seeing_model(("x", "c", "b"), architecture={**WIDE, "end2end": True, "reg_max": 1})
    policy = DistillPolicy(further(published=False, featureWeight=1.0), make_situation(None, large))
    (teacher,) = policy.teachers
    assert dict(teacher.columns) == {"b": (1, 2), "c": (2, 1)}
    student = tiny_model(NAMES)
    policy.build(student)
    found = losses_of(policy, student, pictures())
    assert set(found) == {"distill_class", "distill_box", "distill_feature"}
    sum(found.values(), torch.zeros(())).backward()
    for name in YoloToolbox(64, "cpu").class_parameters(student):
        gradient = dict(student.named_parameters())[name].grad
        assert gradient is not None
        assert gradient[0].abs().sum() == 0
        assert gradient[1].abs().sum() > 0
        assert gradient[2].abs().sum() > 0


@pytest.mark.parametrize(
    ("known", "classes", "where", "words"),
    [
        (("x", "y"), (), "spec.policies.distill.teachers[0]", ("x, y", "a, b, c")),
        (("a", "x"), ("x",), "spec.policies.distill.teachers[0]", ("x", "a, b, c")),
        (("a", "x"), ("b",), "spec.policies.distill.teachers[0].classes", ("does not know b", "a, x")),
    ],
    ids=["none-shared", "none-of-the-chosen-shared", "chosen-but-unknown"],
)
def test_teachers__that_can_not_teach_are_refused(
    known: tuple[str, ...], classes: tuple[str, ...], where: str, words: tuple[str, ...]
) -> None:
    with pytest.raises(BadSpecError) as refused:
        DistillPolicy(further(*classes), make_situation(None, tiny_model(known)))
    assert refused.value.where == where
    assert all(word in refused.value.found for word in words)


def test_teachers__that_look_elsewhere_are_refused() -> None:
    coarse = copy.deepcopy(ARCHITECTURE)
    coarse["backbone"][0] = [-1, 1, "Conv", [64, 3, 1]]
    policy = DistillPolicy(further(), make_situation(None, tiny_model(NAMES, architecture=coarse)))
    with pytest.raises(BadSpecError, match="every 4, 8 pixels, the line's every 8, 16"):
        policy.build(tiny_model(NAMES))


def test_teachers__none_in_a_first_round_and_none_where_the_published_model_is_not_to_teach() -> None:
    assert DistillPolicy(settings(), make_situation(None)).teachers == ()
    situation = make_situation(seeing_model(OLD), seeing_model(NAMES))
    only_further = DistillPolicy(further(published=False), situation).teachers
    assert [teacher.where for teacher in only_further] == ["spec.policies.distill.teachers[0]"]


def test_compose__unknown_is_what_is_taught_and_what_no_label_speaks_of(tmp_path: Path) -> None:
    samples = make_samples(tmp_path, 2)
    data = TrainingData(NAMES, samples, (frozenset({"c"}), frozenset({"a", "c"})), memory=samples)
    situation = make_situation(seeing_model(OLD))
    told = DistillPolicy(settings(background="teacher"), situation).compose(data)
    assert [sample.ignored.tolist() for sample in told.new] == [
        [[0, 0.5, 0.5, 1, 1], [1, 0.5, 0.5, 1, 1]],
        [[1, 0.5, 0.5, 1, 1]],
    ]
    assert all(not len(sample.ignored) for sample in told.memory)
    assert DistillPolicy(settings(), situation).compose(data) is data


class Watching(DistillPolicy):
    """Disturbs its teacher before every batch, and notes what it then finds it in."""

    def losses(self, batch: Mapping[str, Any], predictions: Any) -> dict[str, torch.Tensor]:
        network = self.teachers[0].detector.network
        network.train()
        found = super().losses(batch, predictions)
        assert not any(module.training for module in network.modules())
        assert all(parameter.grad is None for parameter in network.parameters())
        self.seen = getattr(self, "seen", 0) + 1
        return found


def trained(policy: Policy, folder: Path, student: DetectionModel, **changes: Any) -> DetectionModel:
    kill_at = changes.pop("kill_at", None)
    samples = make_samples(folder.parent / "pictures", 6)
    data = policy.compose(TrainingData(NAMES, samples, (frozenset({"c"}),) * len(samples)))
    recipe, _ = make_recipe(
        folder, data.new, settings=make_settings(batch=3, **changes), policies=(policy,), kill_at=kill_at
    )
    return train(recipe, copy.deepcopy(student), None).model


def test_training__leaves_the_teacher_bit_for_bit_and_in_evaluation(tmp_path: Path) -> None:
    teacher = seeing_model(OLD)
    before = tensors_of(teacher)
    policy = Watching(settings(featureWeight=0.1), make_situation(teacher))
    model = trained(policy, tmp_path / "train", grow_head(teacher, NAMES, seed=1))
    assert policy.seen == 4
    assert differing(before, tensors_of(teacher)) == []
    assert not hasattr(model, PROJECTORS)


def distances(policy: Policy, folder: Path, optimizer: str) -> tuple[float, float]:
    """How far old scores and the sides' logits are from the teacher's after a training that started there."""
    teacher = seeing_model(OLD)
    model = trained(policy, folder / "train", grow_head(teacher, NAMES, seed=1), epochs=5, optimizer=optimizer)
    images = pictures(4)["img"]
    with torch.no_grad():
        old, new = teacher(images)[1], model(images)[1]
    scores = new["scores"][:, :2].sigmoid() - old["scores"].sigmoid()
    return float(scores.abs().mean()), float((new["boxes"] - old["boxes"]).abs().mean())


def test_training__keeps_old_scores_that_labels_would_push_down(tmp_path: Path) -> None:
    situation = make_situation(seeing_model(OLD))
    without = DistillPolicy(settings(weight=0.0, boxWeight=0.0), situation)
    held = DistillPolicy(settings(background="teacher", weight=5.0, boxWeight=5.0), situation)
    far, near = (distances(policy, tmp_path / name, "SGD")[0] for policy, name in ((without, "far"), (held, "near")))
    assert near < 0.5 * far, (near, far)


def test_training__keeps_boxes_near_the_teachers(tmp_path: Path) -> None:
    situation, found = make_situation(seeing_model(OLD)), []
    for weight in (0.0, 50.0):
        policy = DistillPolicy(settings(background="teacher", weight=weight / 10, boxWeight=weight), situation)
        found.append(distances(policy, tmp_path / f"{weight}", "AdamW")[1])
    assert found[1] < 0.85 * found[0], found


class Counting(torch.nn.Module):
    """A teacher's network that counts the images it is shown."""

    def __init__(self, network: DetectionModel) -> None:
        super().__init__()
        self.network, self.model, self.images = network, network.model, 0

    def forward(self, images: torch.Tensor) -> Any:
        self.images += len(images)
        return self.network(images)


def counted(teacher: DetectionModel) -> tuple[Situation, Counting]:
    network = Counting(teacher)

    class Counted(YoloDetector):
        @property
        def network(self) -> torch.nn.Module:
            return network

    return replace(make_situation(teacher), teacher=Counted(teacher, 64, "cpu")), network


@pytest.mark.parametrize(
    ("overrides", "looks"), [(UNCHANGED, 6), ({**UNCHANGED, "fliplr": 0.5}, 12)], ids=["steady", "augmented"]
)
def test_notes__are_taken_where_images_look_the_same_and_change_nothing(
    overrides: dict[str, Any], looks: int, tmp_path: Path
) -> None:
    teacher = seeing_model(OLD)
    student, models, shown = grow_head(teacher, NAMES, seed=1), [], []
    for cache in (0, 64):
        situation, network = counted(teacher)
        policy = DistillPolicy(settings(cacheMib=cache), situation)
        models.append(trained(policy, tmp_path / f"{cache}" / "train", student, overrides=overrides, optimizer="SGD"))
        shown.append(network.images)
    assert shown == [12, looks]
    for name, tensor in models[0].state_dict().items():
        assert torch.allclose(tensor.float(), models[1].state_dict()[name].float(), atol=1e-4), name


def test_notes__keep_within_their_budget() -> None:
    situation, network = counted(seeing_model(OLD))
    policy, student = DistillPolicy(settings(), situation), student_of(seeing_model(OLD))
    policy.build(student)
    batch = {**pictures(3), "steady": True}
    first = losses_of(policy, student, batch)
    taken = policy._notes.size_bytes
    assert 0 < taken <= policy._notes.budget_bytes
    policy._notes.budget_bytes = taken
    losses_of(policy, student, {**pictures(3, seed=1), "steady": True})
    assert policy._notes.size_bytes == taken
    before = network.images
    again = losses_of(policy, student, batch)
    assert network.images == before
    assert all(torch.equal(first[name], again[name]) for name in first)


def test_training__resumes_exactly_with_notes_and_projectors(tmp_path: Path) -> None:
    teacher = seeing_model(OLD)
    student = grow_head(teacher, NAMES, seed=1)

    def run(folder: str, **changes: Any) -> DetectionModel:
        policy = DistillPolicy(settings(featureWeight=0.5), make_situation(teacher))
        return trained(policy, tmp_path / folder / "train", student, overrides=UNCHANGED, **changes)

    whole = run("whole")
    with pytest.raises(Killed):
        run("cut", kill_at=3)
    assert differing(tensors_of(whole), tensors_of(run("cut"))) == []
