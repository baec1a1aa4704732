"""Merge rounds: one line out of several models, of which each goes on teaching its classes."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch

from tests.plugins.lines import TestLine, expect, trained_in
from tests.plugins.tiny_training import WIDE, seeing_model
from tests.plugins.upstream import lively_yolov5, save_whole_yolov5
from tests.round.conftest import Deliveries
from treering_trainer.progress import Message
from treering_trainer.records import PrepareRecord
from treering_trainer.store import sha256_of
from treering_trainer.yolo.parts import class_branches, last_convolution
from treering_trainer.yolo.types import DetectionModel
from treering_trainer.yolo.weights import save_ultralytics

BAD_SPEC, BAD_DATA = 2, 3
BASE, DONOR = ("ring", "bark"), ("leaf", "moss")


def keep(model: DetectionModel, path: Path) -> Path:
    save_ultralytics(model, path, image_size=64)
    return path


def nudged(names: tuple[str, ...]) -> DetectionModel:
    """A sibling of `seeing_model`: as if it had been trained a little, from the same weights, for other things."""
    model = seeing_model(names)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(1.02)
        for branch in class_branches(model):
            for level in branch:
                rows = last_convolution(level)
                assert rows.bias is not None
                rows.weight.mul_(-0.7)
                rows.bias.fill_(1.5)  # surer than the base, which sees something everywhere
    return model


@pytest.fixture
def merging(line: TestLine) -> TestLine:
    """A line that merges two models; its delivery is labelled for the base's classes alone."""
    base, donor = keep(seeing_model(BASE), line.root / "a.pt"), keep(nudged(DONOR), line.root / "b.pt")
    line.spec["model"] = {
        "base": base.as_uri(),
        "imageSize": 64,
        "donors": [{"uri": donor.as_uri(), "classes": ["leaf"]}],
    }
    line.spec["policies"] = {
        "pseudoLabels": {"mirror": False, "confidence": 0.1},
        "ewc": {},
        "inversion": {"images": 4, "steps": 2},
    }
    return line


def test_merge__one_model_with_the_classes_of_all(merging: TestLine) -> None:
    before = {name: (merging.root / name).read_bytes() for name in ("a.pt", "b.pt")}
    planned = merging.call("plan").out.replace("\n", " ")
    assert "merged: " in planned and "b.pt (leaf)" in planned
    assert merging.run().code == 0
    record, lineage = merging.record(1), merging.lineage
    assert lineage.current is not None and lineage.current.classes == ("ring", "bark", "leaf")
    merge = record.prepare.merge
    assert merge is not None and [donor.classes for donor in merge.donors] == [BASE, ("leaf",)]
    assert [donor.sha256 for donor in merge.donors] == [sha256_of(merging.root / name) for name in before]
    assert record.analyse.strategy == "incremental" and "a.pt (2 classes); b.pt (1 class)" in record.analyse.reason
    assert "ewc can't act" in record.analyse.reason and "ewc" not in record.prepare.policies
    assert record.prepare.pseudo_labels.get("leaf", 0) > 0  # nobody labelled one
    assert {score.uri.rsplit("/", 1)[-1]: score.classes for score in record.evaluate.donors} == {
        "a.pt": BASE,
        "b.pt": ("leaf",),
    }
    sentences = [check.sentence for check in record.gate.checks if check.rule == "maxForgetting"]
    assert [sentence.split(" ")[:4] for sentence in sentences] == [
        ["the", "classes", "of", "a.pt"],
        ["the", "classes", "of", "b.pt"],
    ]
    assert set(record.settings) >= {f"donor/{donor.uri}" for donor in merge.donors}
    assert {name: (merging.root / name).read_bytes() for name in before} == before
    page = next((merging.store / "rounds").glob("*/*/report.html")).read_text()
    assert "b.pt" in page and ("The pictures hardly show" in page) == bool(merge.seldom)


def test_merge__afterwards_the_line_grows_as_any(merging: TestLine, deliveries: Deliveries) -> None:
    assert merging.run().code == 0
    merging.spec["increments"].append({"name": "w3", "uri": deliveries.uri("w3")})
    merging.spec["strategy"] = "full"
    assert merging.run().code == 0
    record = merging.record(2)
    assert record.prepare.classes == ("ring", "bark", "leaf", "root") and record.prepare.merge is None
    assert record.analyse.strategy == "incremental" and "donors" in record.analyse.reason
    assert merging.lineage.round == 2


@pytest.mark.parametrize("trunk", ["auto", "base", "interpolated"])
def test_merge__trunk(trunk: str, merging: TestLine, deliveries: Deliveries) -> None:
    merging.spec["model"]["trunk"] = trunk
    merging.spec["evaluation"]["holdouts"] = []
    merging.spec["evaluation"]["valFraction"] = 0.3
    merging.spec["increments"].append({"name": "w2", "uri": deliveries.uri("w2")})
    merging.stop_before("train")
    folder = next(merging.work.glob("rounds/*/merged"))
    told = (folder / "merge.json").read_text()
    if trunk == "auto":
        assert all(f'"{name}"' in told for name in ("interpolated", (merging.root / "b.pt").as_uri()))
    else:
        assert f"spec.model.trunk is {trunk}" in told


def test_merge__unlabelled_pictures_alone(merging: TestLine, deliveries: Deliveries) -> None:
    delivery = merging.root / "unlabelled"
    shutil.copytree(Path(deliveries.root / "w1" / "images"), delivery / "images")
    merging.spec["increments"] = [{"name": "raw", "uri": delivery.as_uri()}]
    error = merging.refused()
    assert error["exitCode"] == BAD_DATA
    merging.spec["verification"] = {"missingLabels": "unlabelled"}
    assert merging.run().code == 0
    record = merging.record(1)
    assert record.prepare.classes == ("ring", "bark", "leaf") and sum(record.prepare.pseudo_labels.values()) > 0
    assert sum(finding.code == "Unlabelled" for finding in record.verify.findings) > 0


@pytest.mark.parametrize("kind", ["wide", "yolov5"])
def test_merge__donors_of_another_kind_teach(kind: str, merging: TestLine) -> None:
    path = merging.root / "other.pt"
    if kind == "wide":
        keep(seeing_model(DONOR, architecture=WIDE), path)
    else:
        model = lively_yolov5(DONOR)
        for name, parameter in model.named_parameters():
            if ".m." in name and name.endswith(".bias") and parameter.dim() == 1 and "bn" not in name:
                parameter.data.add_(2.0)
        save_whole_yolov5(model, path)
    merging.spec["model"]["donors"] = [{"uri": path.as_uri(), "classes": ["leaf"]}]
    merging.spec["policies"]["distill"] = {}
    assert merging.run().code == 0
    record = merging.record(1)
    assert record.prepare.merge is not None and not record.prepare.merge.donors[1].rows_fit
    assert "distill" in record.prepare.policies and "distill" not in record.analyse.reason
    teachers = 2 if kind == "wide" else 1  # anchors of its own can't be compared one by one: it teaches by its boxes
    assert record.train.forward_passes // record.train.image_passes == teachers
    assert record.prepare.pseudo_labels.get("leaf", 0) > 0
    assert (merging.lineage.current and merging.lineage.current.classes) == ("ring", "bark", "leaf")


def test_merge__goes_on_where_it_stopped_unless_a_donor_changed(merging: TestLine) -> None:
    assert trained_in(merging.stop_before("evaluate"))
    assert not trained_in(merging.stop_before("evaluate"))
    keep(seeing_model(DONOR), merging.root / "b.pt")
    assert trained_in(merging.stop_before("evaluate"))


REFUSED: dict[str, tuple[Mapping[str, object], str, str]] = {
    "class": ({"donors": [{"uri": "b.pt", "classes": ["oak"]}]}, "spec.model.donors[0].classes", "no class 'oak'"),
    "base's class": ({"classes": ["oak"]}, "spec.model.classes", "no class 'oak'"),
    "scratch": ({"base": "yolov8n.yaml"}, "spec.model.base", "no weights to merge"),
    "not there": ({"donors": [{"uri": "none.pt"}]}, "spec.model.donors[0].uri", "does not exist"),
    "no kin": ({"trunk": "interpolated", "donors": [{"uri": "wide.pt"}]}, "spec.model.trunk", "same weights"),
    "anchors": ({"base": "anchors.pt"}, "spec.model.base", "predicts by anchors"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_merge__refuses(name: str, merging: TestLine) -> None:
    more, where, found = REFUSED[name]
    save_whole_yolov5(lively_yolov5(BASE), merging.root / "anchors.pt")
    keep(seeing_model(DONOR, architecture=WIDE), merging.root / "wide.pt")

    def placed(value: object) -> object:
        if isinstance(value, str) and value.endswith(".pt"):
            return (merging.root / value).as_uri()
        if isinstance(value, list):
            return [placed(each) for each in value]
        return {key: placed(each) for key, each in value.items()} if isinstance(value, dict) else value

    merging.spec["model"] |= {key: placed(value) for key, value in more.items()}
    expect(merging.refused(), BAD_SPEC, where, found, "")


def test_classes_without_donors_are_refused(line: TestLine) -> None:
    line.spec["model"]["classes"] = ["ring"]
    expect(line.refused(), BAD_SPEC, "spec.model.classes", "no donors", "list donors")


def test_merge__warns_of_what_no_picture_shows(merging: TestLine) -> None:
    merging.spec["policies"]["pseudoLabels"]["confidence"] = 0.999
    told = [event.text for event in merging.stop_before("train") if isinstance(event, Message)]
    warned = [text for text in told if "hardly show" in text]
    record = PrepareRecord.model_validate_json(next(merging.work.glob("rounds/*/records/prepare.json")).read_bytes())
    drawn = record.drawn_boxes["leaf"]
    assert drawn > 0
    assert len(warned) == 1 and f"leaf (0 boxes, {drawn} drawn)" in warned[0] and "treering fuse" in warned[0]
    assert record.merge is not None and record.merge.seldom["leaf"] == 0


def test_merge__donors_draw_what_hardly_a_box_shows(merging: TestLine) -> None:
    merging.spec["policies"]["pseudoLabels"]["confidence"] = 0.999
    assert merging.run().code == 0
    record = merging.record(1)
    assert (record.prepare.drawn_images, record.prepare.image_passes) == (4, round(4 * 2 * 0.4375))
    assert set(record.prepare.drawn_boxes) == {"leaf"}, "people marked ring and bark"
    assert record.train.image_passes == (record.prepare.new_images + 4) * len(record.train.epochs)
    assert record.prepare.memory_images == 0
    assert not list(merging.store.rglob("*drawn-*"))
    assert "4 pictures by the old model" in (merging.folder(1) / "report.html").read_text()


def test_rows_are_copied_by_name() -> None:
    from treering_trainer.yolo.merging import merged_start, share_origin

    base, donor = seeing_model(BASE), nudged(DONOR)
    model = merged_start(base, [base, donor], ("ring", "leaf", "bark"), seed=0)
    for mine, first, second in zip(class_branches(model), class_branches(base), class_branches(donor), strict=True):
        for level, one, two in zip(mine, first, second, strict=True):
            rows = last_convolution(level).weight
            assert torch.equal(rows[0], last_convolution(one).weight[0])
            assert torch.equal(rows[2], last_convolution(one).weight[1])
            assert torch.equal(rows[1], last_convolution(two).weight[0])
    assert share_origin(base, donor)
    assert not share_origin(base, seeing_model(DONOR, architecture=WIDE))
