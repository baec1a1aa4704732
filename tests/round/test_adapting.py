"""A round without labels: BatchNorm's statistics adapt alone, and the line goes on from there."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file

from tests.plugins.lines import TestLine, draw_delivery

ALONE = {"batchNorm": {"alone": True}}


def deliver_unlabelled(line: TestLine) -> Path:
    """Pictures alone: no labels, no class names."""
    root = draw_delivery(line.root / "drift", ("ring", "bark"), 6, seed=4)
    for path in (root / "labels/train").iterdir():
        path.unlink()
    (root / "labels/train").rmdir()
    (root / "names.json").unlink()
    line.spec["increments"][1:] = [{"name": "drift", "uri": root.as_uri()}]
    return root


def weights_of(line: TestLine, round_number: int) -> dict[str, np.ndarray]:
    attempt = next(item.attempt for item in line.lineage.rounds if item.round == round_number)
    return dict(load_file(line.store / "rounds" / f"{round_number:04d}" / f"attempt-{attempt}" / "model.safetensors"))


def test_alone__a_delivery_without_a_label_is_adapted_to_and_published(grown: TestLine) -> None:
    deliver_unlabelled(grown)
    grown.spec |= {"policies": ALONE, "strategy": "auto"}
    answer = grown.run()
    assert answer.code == 0, answer.err
    _, second = grown.lineage.rounds
    assert (second.verdict, second.strategy) == ("published", "incremental")
    assert "nothing is trained" in second.reason
    before, after = weights_of(grown, 1), weights_of(grown, 2)
    changed = {name for name in before if not np.array_equal(before[name], after[name])}
    assert changed and all(name.endswith(("running_mean", "running_var", "num_batches_tracked")) for name in changed)
    record = grown.record(2)
    assert (record.train.epochs, record.train.image_passes, record.train.forward_passes) == ((), 0, 14)
    page = (grown.store / "rounds/0002/attempt-1/report.html").read_text()
    assert "No weights were trained." in page and "measured on 14 images" in page


def test_alone__the_memory_and_what_was_learned_stay(grown: TestLine) -> None:
    deliver_unlabelled(grown)
    grown.spec |= {"policies": ALONE}
    assert grown.run().code == 0
    first, second = grown.store / "rounds/0001/attempt-1", grown.store / "rounds/0002/attempt-1"
    assert json.loads((second / "memory.json").read_text()) == json.loads((first / "memory.json").read_text())
    assert json.loads((second / "learned.json").read_text()) == json.loads((first / "learned.json").read_text())


def test_alone__a_later_full_round_leaves_the_unlabelled_delivery_out(grown: TestLine) -> None:
    deliver_unlabelled(grown)
    grown.spec |= {"policies": ALONE}
    assert grown.run().code == 0
    third = draw_delivery(grown.root / "w3", ("root",), 6, seed=3)
    grown.spec["increments"].append({"name": "w3", "uri": third.as_uri()})
    grown.spec |= {"policies": {}, "strategy": "full"}
    answer = grown.run()
    assert answer.code == 0, answer.err
    assert grown.record(3).prepare.new_images == 8 + 6


def test_alone__new_classes_are_refused_before_anything_is_made(grown: TestLine) -> None:
    grown.spec |= {"policies": ALONE}
    error = grown.refused()
    assert "new classes (leaf)" in error["found"] and error["where"] == "spec.policies.batchNorm.alone"


def test_without_alone__pictures_without_labels_are_kept_out(grown: TestLine) -> None:
    deliver_unlabelled(grown)
    (grown.root / "drift" / "names.json").write_text('["ring", "bark"]')
    assert "6 of 6 pictures" in grown.refused()["found"]


def test_weight_merge_and_ewc__in_a_round__tell_what_they_chose_and_leave_what_the_next_one_needs(
    grown: TestLine,
) -> None:
    grown.spec["policies"] = {"weightMerge": {"points": 2, "images": 4}, "ewc": {"images": 4}}
    answer = grown.run()
    assert answer.code == 0, answer.err
    record = grown.record(2)
    assert set(record.train.chosen) == {f"weightMerge, {name}" for name in ("backbone", "neck", "head", "score")}
    assert record.train.forward_passes > 0 and record.train.epochs[-1].losses["ewc"] >= 0
    folder = grown.store / "rounds/0002/attempt-1"
    kept = load_file(folder / "policies.safetensors")
    assert all(name.startswith("ewc/") for name in kept) and len(kept) > 20
    assert "weightMerge, backbone" in (folder / "report.html").read_text()
