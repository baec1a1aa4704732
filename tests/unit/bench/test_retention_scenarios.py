from __future__ import annotations

import hashlib
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from bench.retention import scenarios
from bench.retention.course import Course
from bench.retention.source import Source, lot, read_source
from tests.plugins.lines import draw_delivery
from treering_api import Verification
from treering_trainer.dataset import Sample, read_dataset

NAMES = ("a", "b", "c", "d")


def sample(name: str, *classes: int) -> Sample:
    boxes = np.array([[index, 0.5, 0.5, 0.2, 0.2] for index in classes], dtype=np.float64).reshape(-1, 5)
    return Sample(name, Path(f"{name}.png"), boxes, 64, 64, hashlib.sha256(name.encode()).hexdigest(), 0)


def source(*train: Sample, names: tuple[str, ...] = NAMES) -> Source:
    val = tuple(sample(f"val{index}", index) for index in range(len(names)))
    return Source("made", names, train, val, 0)


def make(name: str, data: Source, seed: int = 0, groups: scenarios.Groups | None = None) -> Course:
    return scenarios.make_course(name, data, seed, groups, Path("nowhere"))


def stems(course: Course) -> list[set[str]]:
    return [{item.name for item in step.samples} for step in course.steps]


MIXED = source(sample("ab", 0, 1), sample("bc", 1, 2), sample("d", 3), sample("empty"))


def test_voc__an_image_of_both_groups_comes_twice() -> None:
    course = make("voc", MIXED)
    assert stems(course) == [{"ab", "bc"}, {"bc", "d"}]
    assert [step.classes for step in course.steps] == [("a", "b"), ("c", "d")]
    assert [item.name for item in course.together(2)] == ["ab", "bc", "d"]
    last = course.steps[1]
    assert last.old == last.known == ("val/a", "val/b")
    assert last.new == ("val/c", "val/d")


def test_strict__an_image_of_both_groups_is_left_out() -> None:
    assert stems(make("strict", MIXED)) == [{"ab"}, {"d"}]


def test_strict__says_why_it_can_not_be_made() -> None:
    with pytest.raises(scenarios.ImpossibleError, match=r"strict: no train image is left for step-2 \(c, d\)"):
        make("strict", source(sample("ab", 0, 1), sample("bc", 1, 2)))


def test_voc__groups_of_the_user_come_in_their_order() -> None:
    course = make("voc", MIXED, groups=(("d",), ("b", "a")))
    assert course.names == ("d", "b", "a")
    assert stems(course) == [{"d"}, {"ab", "bc"}]
    assert [course.names[int(row[0])] for row in course.steps[1].samples[0].boxes] == ["a", "b"]
    assert {cell for step in course.steps for cell in step.new} == {"val/d", "val/b", "val/a"}


@pytest.mark.parametrize(
    ("count", "sizes"),
    [(2, (1, 1)), (3, (2, 1)), (4, (2, 1, 1)), (5, (3, 1, 1)), (6, (2, 1, 1, 1, 1)), (12, (3, 3, 2, 2, 2))],
    ids=lambda value: str(value) if isinstance(value, int) else None,
)
def test_five_groups__sizes(count: int, sizes: tuple[int, ...]) -> None:
    names = [str(number) for number in range(count)]
    groups = scenarios.five_groups(names)
    assert tuple(len(group) for group in groups) == sizes
    assert [name for group in groups for name in group] == names


def test_steps__what_was_new_is_old_in_the_next() -> None:
    course = make("steps", source(*(sample(str(index), index) for index in range(4))))
    assert [step.new for step in course.steps] == [("val/a", "val/b"), ("val/c",), ("val/d",)]
    assert course.steps[2].known == ("val/a", "val/b", "val/c")
    assert course.seen(2) == ("a", "b", "c")


def test_same__three_parts_by_seed() -> None:
    data = source(*(sample(str(index), index % 4) for index in range(50)))
    first, second = make("same", data, seed=0), make("same", data, seed=1)
    assert [len(step.samples) for step in first.steps] == [30, 10, 10]
    assert sum(len(names) for names in stems(first)) == len(set.union(*stems(first)))
    assert stems(first) != stems(second) and stems(first) == stems(make("same", data, seed=0))
    assert first.digest != second.digest and first.digest == make("same", data, seed=0).digest
    assert first.steps[1].known == first.steps[1].old and not first.steps[1].new


def test_longtail__from_all_to_a_tenth() -> None:
    data = source(*(sample(f"{index}", index % 4) for index in range(1600)))
    course = make("longtail", data, seed=3)
    whole, rare = (Counter(int(item.boxes[0, 0]) for item in step.samples) for step in course.steps)
    assert sum(whole.values()) == 800
    order = sorted(NAMES, key=lambda name: lot("longtail", 3, name))
    shares = [rare[NAMES.index(name)] / (400 - whole[NAMES.index(name)]) for name in order]
    assert shares == pytest.approx([1, 10 ** (-1 / 3), 10 ** (-2 / 3), 0.1], abs=0.08)
    assert {cell.partition("/")[2] for cell in course.steps[1].new} == set(order[2:])
    assert set(course.steps[1].known) == {f"val/{name}" for name in NAMES}


def test_longtail__every_class_keeps_an_image() -> None:
    for seed in range(5):
        data = source(*(sample(f"{index}", index % 4) for index in range(24)))
        course = make("longtail", data, seed)
        first = {item.sha256 for item in course.steps[0].samples}
        half = {int(item.boxes[0, 0]) for item in data.train if item.sha256 not in first}
        assert {int(item.boxes[0, 0]) for item in course.steps[1].samples} == half


def test_shift__two_domains_measured_both_ways(tmp_path: Path) -> None:
    folder = draw_delivery(tmp_path / "data", ("ring", "bark"), 8, seed=1)
    draw_delivery(folder, ("ring", "bark"), 4, seed=2, split="val")
    course = scenarios.make_course("shift", read_source(folder), 0, None, tmp_path / "made")
    assert [item.name for item in course.holdouts] == ["original", "shifted"]
    assert [len(step.samples) for step in course.steps] == [4, 4]
    assert course.steps[1].old == course.steps[1].known == ("original/ring", "original/bark")
    assert course.steps[1].new == ("shifted/ring", "shifted/bark")
    delivered = course.write_step(tmp_path / "out", 1)
    settings = Verification(near_duplicate_bits=0)
    read = read_dataset(delivered, "delivery", "increment", settings)
    assert [len(item.boxes) for item in read.dataset.train] == [1] * 4 and not read.findings


def test_source__a_train_image_that_is_measured_on_is_left_out(tmp_path: Path) -> None:
    folder = draw_delivery(tmp_path / "data", ("ring", "bark"), 6, seed=1)
    draw_delivery(folder, ("ring", "bark"), 2, seed=2, split="val")
    copy = folder / "images" / "train" / "again.png"
    copy.write_bytes(next((folder / "images" / "val").iterdir()).read_bytes())
    (folder / "labels" / "train" / "again.txt").write_text("0 .5 .5 .2 .2\n")
    found = read_source(folder)
    assert (len(found.train), len(found.val), found.dropped) == (6, 2, 1)


def test_source__without_val_a_fifth_is_held_out(tmp_path: Path) -> None:
    found = read_source(draw_delivery(tmp_path / "data", ("ring", "bark"), 50, seed=1))
    assert 4 <= len(found.val) <= 17 and len(found.train) + len(found.val) == 50
    assert not {item.sha256 for item in found.train} & {item.sha256 for item in found.val}


def test_source__names_as_a_mapping(tmp_path: Path) -> None:
    folder = draw_delivery(tmp_path / "data", ("ring", "bark"), 20, seed=1)
    (folder / "names.json").write_text('{"0": "ring", "1": "bark"}')
    assert read_source(folder).names == ("ring", "bark")


def test_source__one_class_is_not_enough(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="two at least"):
        read_source(draw_delivery(tmp_path / "data", ("ring",), 6, seed=1))


def test_write__labels_of_the_delivery_alone(tmp_path: Path) -> None:
    folder = draw_delivery(tmp_path / "data", ("ring", "bark", "leaf"), 9, seed=1)
    draw_delivery(folder, ("ring", "bark", "leaf"), 3, seed=2, split="val")
    course = scenarios.make_course("voc", read_source(folder), 0, (("bark",), ("ring", "leaf")), tmp_path)
    read = read_dataset(course.write_step(tmp_path, 1), "delivery", "increment", Verification())
    assert read.dataset.names == ("ring", "leaf")
    assert Counter(int(row[0]) for item in read.dataset.train for row in item.boxes) == {0: 3, 1: 3}
