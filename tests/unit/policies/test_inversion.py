"""inversion: which classes are drawn, by whom, what the pictures are labelled with, and that the model sees them."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from tests.plugins.tiny_training import differing, make_samples, seeing_model, tensors_of, tiny_model
from treering_api import Inversion
from treering_trainer.memory import Memory, MemoryItem
from treering_trainer.policies.interface import Boxes, Situation, TrainingData
from treering_trainer.policies.inversion import CROWDED, SIZES, InversionPolicy, draw_scenes
from treering_trainer.policies.situation import DonorTeacher
from treering_trainer.yolo.detector import YoloDetector
from treering_trainer.yolo.inversion import _noise
from treering_trainer.yolo.statistics import measure_statistics
from treering_trainer.yolo.toolbox import YoloToolbox

NAMES, OLD = ("a", "b", "c"), ("a", "b")


class Drawing(YoloToolbox):
    """Draws blank pictures, and keeps what it was asked for."""

    def pictures(self, model: Any, wanted: Sequence[Boxes], *, steps: int, seed: int) -> Iterator[NDArray[np.uint8]]:
        asked.append((model, [*wanted]))
        return iter([np.full((64, 64, 3), number, dtype=np.uint8) for number in range(len(wanted))])


class Seeing(YoloDetector):
    """Sees two boxes of its first class in every picture: a sure and a faint one."""

    def detect(self, samples: Any, *, confidence: float, overlap: float, mirror: bool = False) -> list[Boxes]:
        rows = np.array([[0, 0.5, 0.5, 0.2, 0.2, 0.9], [0, 0.2, 0.2, 0.1, 0.1, 0.2]])
        return [rows[rows[:, 5] >= confidence] for _ in samples]


asked: list[tuple[Any, list[Boxes]]] = []


@pytest.fixture(autouse=True)
def _nothing_asked() -> None:
    asked.clear()


def seeing(*names: str) -> Seeing:
    return Seeing(seeing_model(names), 64, "cpu")


@pytest.fixture
def situation(tmp_path: Path) -> Situation:
    """A second round whose only remembered picture was marked for another class."""
    (sample,) = make_samples(tmp_path / "bank", 1)
    memory = Memory(items=(MemoryItem.of(sample, NAMES, increment="first", classes=("c",)),))
    toolbox = Drawing(64, "cpu")
    return Situation("incremental", 0, NAMES, OLD, seeing(*OLD), memory, toolbox=toolbox, folder=tmp_path / "drawn")


def composed(situation: Situation, data: TrainingData, **settings: Any) -> TrainingData:
    return InversionPolicy(Inversion(images=4, steps=2, **settings), situation).compose(data)


def showing(folder: Path, *classes: int, boxes: int = 1) -> TrainingData:
    """A picture that shows so many boxes of each of these classes."""
    (sample,) = make_samples(folder / "pictures", 1)
    rows = [(index, 0.5, 0.5, 0.1, 0.1) for index in classes for _ in range(boxes)]
    shown = replace(sample, boxes=np.array(rows, dtype=np.float64).reshape(-1, 5))
    return TrainingData(NAMES, (shown,), (frozenset(NAMES),))


def drawn_classes() -> set[int]:
    return {int(row[0]) for _, scenes in asked for boxes in scenes for row in boxes}


def test_compose__draws_the_old_classes_that_hardly_a_box_shows(situation: Situation, tmp_path: Path) -> None:
    data = composed(situation, showing(tmp_path, 0, 2, boxes=20))
    assert drawn_classes() == {1}
    assert data.drawn_images == len(data.memory) == 4
    assert not composed(situation, showing(tmp_path, 0, 1, boxes=20)).memory


def test_compose__a_class_that_people_marked_is_rare_and_drawn_only_where_that_is_asked_for(
    situation: Situation, tmp_path: Path
) -> None:
    (sample,) = make_samples(tmp_path / "bank", 1)
    marked = Memory(items=(MemoryItem.of(sample, NAMES, increment="first", classes=("b",)),))
    known = replace(situation, memory=marked)
    composed(known, showing(tmp_path))
    assert drawn_classes() == {0}
    composed(known, showing(tmp_path), classes="rare")
    assert drawn_classes() == {0, 1}
    asked.clear()
    nothing = replace(situation, memory=Memory())
    assert not composed(nothing, showing(tmp_path)).memory, "nobody can tell who marked what"
    composed(nothing, showing(tmp_path), classes="rare")
    assert drawn_classes() == {0, 1}
    asked.clear()
    composed(situation, showing(tmp_path, 0))
    assert drawn_classes() == {1}, "people marked a in the delivery"


@pytest.mark.parametrize("change", [{"folder": None}, {"strategy": "full"}, {"donors": ()}])
def test_compose__leaves_everything_as_it_is_where_nobody_can_draw(
    situation: Situation, tmp_path: Path, change: dict[str, Any]
) -> None:
    data = showing(tmp_path)
    assert composed(replace(situation, **change), data) is data
    assert not asked


def test_compose__labels_are_what_the_model_sees_and_speak_of_its_classes_alone(
    situation: Situation, tmp_path: Path
) -> None:
    (sample, *_) = composed(situation, showing(tmp_path)).memory
    assert sample.boxes.tolist() == [[0, 0.5, 0.5, 0.2, 0.2]]
    faint, unknown = sample.ignored.tolist()
    assert faint == [0, 0.2, 0.2, 0.1, 0.1]
    assert unknown == [2, 0.5, 0.5, 1, 1], "the new class is unknown in the whole picture"
    assert sample.image.is_file() and (sample.width, sample.height) == (64, 64)


def test_compose__counts_what_it_did_and_keeps_showing_the_rest_as_often(situation: Situation, tmp_path: Path) -> None:
    data = composed(situation, replace(showing(tmp_path), repeats=(2.0,)))
    assert data.repeats == (2.0, 1.0, 1.0, 1.0, 1.0)
    assert data.drawn_boxes == {"a": 4}
    assert data.image_passes == round(4 * 2 * 0.4375)


def test_compose__in_a_merge_every_donor_draws_its_own_classes(situation: Situation, tmp_path: Path) -> None:
    one, other = seeing("x", "b", "a"), seeing("b", "c")
    donors = (DonorTeacher("base", one, ("a",)), DonorTeacher("donor", other, ("b", "c")))
    merging = replace(situation, donors=donors, old_names=("a", "b", "c"))
    data = composed(merging, showing(tmp_path, 2))
    assert [(model, {int(row[0]) for boxes in scenes for row in boxes}) for model, scenes in asked] == [
        (one.network, {2}),
        (other.network, {0}),
    ]
    assert len({sample.image for sample in data.memory}) == 4
    assert data.drawn_boxes == {"b": 2}, "x is nobody's business"


@pytest.mark.parametrize(("classes", "images"), [(1, 64), (2, 68), (80, 128)])
def test_images__more_for_more_classes_up_to_a_limit(situation: Situation, classes: int, images: int) -> None:
    names = tuple(f"old {number}" for number in range(classes))
    many = replace(situation, names=names, old_names=names, teacher=seeing(*names))
    data = InversionPolicy(Inversion(steps=2), many).compose(TrainingData(names, (), ()))
    assert data.drawn_images == images


def test_scenes__every_class_in_turn_inside_the_picture_and_not_crowded() -> None:
    scenes = draw_scenes(200, (3, 7), np.random.default_rng(0))
    assert {len(boxes) for boxes in scenes} == {1, 2, 3, 4}
    assert [int(boxes[0, 0]) for boxes in scenes] == [3, 7] * 100
    rows = np.concatenate(scenes)
    assert (rows[:, 1:3] - rows[:, 3:] / 2 >= -1e-9).all() and (rows[:, 1:3] + rows[:, 3:] / 2 <= 1 + 1e-9).all()
    sizes = np.sqrt(rows[:, 3] * rows[:, 4])
    assert sizes.min() >= SIZES[0] - 1e-9 and sizes.max() <= SIZES[1] + 1e-9
    for boxes in scenes:
        for place, one in enumerate(boxes):
            for other in boxes[:place]:
                shared = np.minimum(one[1:3] + one[3:] / 2, other[1:3] + other[3:] / 2) - np.maximum(
                    one[1:3] - one[3:] / 2, other[1:3] - other[3:] / 2
                )
                assert (shared <= CROWDED * np.minimum(one[3:], other[3:]) + 1e-9).any()


def reacting_model() -> Any:
    """Untrained, but with statistics that let what it is shown come through to its head."""
    model = tiny_model(OLD).eval()
    measure_statistics(model, [_noise(16, 64, torch.Generator().manual_seed(3))])
    return model


def test_pictures__the_model_sees_more_of_what_was_wanted_than_in_noise__and_stays_as_it_is() -> None:
    model = reacting_model()
    before = copy.deepcopy(tensors_of(model))
    learning = [name for name, parameter in model.named_parameters() if parameter.requires_grad]
    toolbox = YoloToolbox(64, "cpu")
    scenes = draw_scenes(4, (0, 1), np.random.default_rng(0))
    drawn = torch.stack(
        [torch.from_numpy(pixels.copy()) for pixels in toolbox.pictures(model, scenes, steps=40, seed=0)]
    )
    assert drawn.shape == (4, 64, 64, 3) and drawn.dtype == torch.uint8
    rows = torch.as_tensor(np.concatenate(scenes), dtype=torch.float32)
    places = torch.repeat_interleave(torch.arange(4), torch.tensor([len(boxes) for boxes in scenes]))
    losses = []
    for images in (_noise(4, 64, torch.Generator().manual_seed(0)), drawn.permute(0, 3, 1, 2) / 255):
        batch = {"img": images, "batch_idx": places.float(), "cls": rows[:, :1], "bboxes": rows[:, 1:]}
        losses.append(float(toolbox.loss(model, images, batch).detach()))
    assert losses[1] < losses[0] - 0.3, losses
    assert differing(before, tensors_of(model)) == []
    assert [name for name, parameter in model.named_parameters() if parameter.requires_grad] == learning
    assert not model.training


def test_pictures__the_same_for_a_seed() -> None:
    model, toolbox = reacting_model(), YoloToolbox(64, "cpu")
    scenes = draw_scenes(2, (0,), np.random.default_rng(0))
    first, again, other = (np.stack([*toolbox.pictures(model, scenes, steps=3, seed=seed)]) for seed in (5, 5, 6))
    assert (first == again).all()
    assert (first != other).any()
