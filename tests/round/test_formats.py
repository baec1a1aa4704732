"""A delivery as COCO JSON is learned as the same delivery in YOLO layout is: to the same weights, bit by bit."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from tests.plugins.lines import TestLine
from tests.round.conftest import Deliveries
from treering_api import Verification
from treering_trainer.dataset import read_dataset


def as_coco(yolo: Path, root: Path) -> None:
    """The train split of a delivery as CVAT would export it."""
    dataset = read_dataset(yolo, "w", "increment", Verification()).dataset
    images: list[dict[str, object]] = []
    annotations: list[dict[str, object]] = []
    for number, sample in enumerate(dataset.train, start=1):
        target = root / "images" / "train" / sample.image.name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(sample.image, target)
        size = {"width": sample.width, "height": sample.height}
        images.append({"id": number, "file_name": sample.image.name, **size})
        for index, x, y, w, h in sample.boxes.tolist():
            box = [(x - w / 2) * sample.width, (y - h / 2) * sample.height, w * sample.width, h * sample.height]
            annotation = {"id": len(annotations), "image_id": number, "category_id": int(index) + 1, "bbox": box}
            annotations.append(annotation)
    categories = [{"id": number, "name": name} for number, name in enumerate(dataset.names, start=1)]
    document = {"images": images, "annotations": annotations, "categories": categories}
    (root / "annotations").mkdir()
    (root / "annotations" / "instances_train.json").write_text(json.dumps(document))


def test_coco_delivery__is_learned_as_in_yolo_layout(
    line: TestLine, deliveries: Deliveries, grown_once: TestLine
) -> None:
    folder = line.root / "w1"
    as_coco(deliveries.root / "w1", folder)
    line.spec["increments"][0]["uri"] = folder.as_uri()
    assert line.run().code == 0
    first, same = line.lineage.rounds[0], grown_once.lineage.rounds[0]
    assert (first.images, first.increments) == (same.images, same.increments)
    assert line.weights(1) == grown_once.weights(1)
