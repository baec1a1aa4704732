"""Further teachers of a line: fetched, pinned, read without running anything in them, and noted in the record."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.plugins.lines import TestLine, expect, trained_in
from tests.plugins.tiny_training import ARCHITECTURE, WIDE, seeing_model
from treering_trainer.store import sha256_of
from treering_trainer.yolo.weights import save_ultralytics

BAD_SPEC = 2


def with_teacher(line: TestLine, name: str = "large one.pt", *, known: tuple[str, ...] = ("bark", "ring")) -> Path:
    """The line with a teacher of another size beside its published model."""
    path = line.root / name
    save_ultralytics(seeing_model(known, architecture=WIDE), path, image_size=64)
    line.spec["policies"] = {"preset": "none", "distill": {"teachers": [{"uri": path.as_uri()}]}}
    return path


def test_teacher__from_a_uri_teaches_and_is_in_the_record(grown: TestLine) -> None:
    path = with_teacher(grown)
    assert grown.run().code == 0
    record = grown.record(2)
    assert record.settings[f"teacher/{path.as_uri()} digest"] == sha256_of(path)
    assert {"distill_class", "distill_box"} <= set(record.train.epochs[0].losses)


def test_teacher__that_is_replaced_starts_the_round_anew(grown: TestLine) -> None:

    path = with_teacher(grown)
    grown.stop_before("evaluate")
    assert not trained_in(grown.stop_before("evaluate"))
    save_ultralytics(seeing_model(("bark", "ring"), architecture=ARCHITECTURE), path, image_size=64)
    assert trained_in(grown.stop_before("evaluate"))


@pytest.mark.parametrize("data", [b"<html>404</html>", None], ids=["no-checkpoint", "not-there"])
def test_teacher__that_can_not_be_read_is_refused_by_its_own_field(grown: TestLine, data: bytes | None) -> None:
    path = with_teacher(grown)
    path.unlink()
    if data is not None:
        path.write_bytes(data)
    found = "does not exist" if data is None else "is no checkpoint that can be read"
    expect(grown.refused(), BAD_SPEC, "spec.policies.distill.teachers[0].uri", found, "")


def test_teacher__of_other_classes_is_refused_before_training(grown: TestLine) -> None:
    with_teacher(grown, known=("moss", "fern"))
    expect(grown.refused(), BAD_SPEC, "spec.policies.distill.teachers[0]", "moss, fern, the line has", "same names")


def test_teacher__an_architecture_is_none(line: TestLine) -> None:
    line.spec["policies"] = {"distill": {"teachers": [{"uri": "yolov8x.yaml"}]}}
    expect(line.refused(), BAD_SPEC, "spec.policies.distill.teachers[0].uri", "yolov8x.yaml", "yolov8x.pt")
