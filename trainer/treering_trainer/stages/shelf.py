"""Data sets between stages: what verify found usable and what prepare made of it, as JSON in the work folder.

Pictures are named by their place relative to the file: a round that goes on in another folder, on another machine,
finds its own there.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np

from treering_trainer.dataset import Boxes, DataSet, Sample
from treering_trainer.policies.interface import TrainingData
from treering_trainer.records import Threshold
from treering_trainer.store import write_atomic


def save_datasets(path: Path, datasets: Sequence[DataSet]) -> None:
    """Write verified data sets."""
    _write(path, [_from_dataset(dataset, path.parent) for dataset in datasets])


def load_datasets(path: Path) -> tuple[DataSet, ...]:
    """Read what `save_datasets` wrote."""
    return tuple(_to_dataset(data, path.parent) for data in json.loads(path.read_bytes()))


def save_training(path: Path, data: TrainingData) -> None:
    """Write what a round trains on."""
    _write(
        path,
        {
            "names": data.names,
            "new": [_from_sample(sample, path.parent) for sample in data.new],
            "known": [sorted(known) for known in data.new_classes_known],
            "memory": [_from_sample(sample, path.parent) for sample in data.memory],
            "batch_share": data.batch_share,
            "repeats": data.repeats,
            "merged_images": data.merged_images,
            "drawn_images": data.drawn_images,
            "pseudo_labels": dict(data.pseudo_labels),
            "unsure": dict(data.unsure),
            "thresholds": {name: found.model_dump() for name, found in data.thresholds.items()},
        },
    )


def load_training(path: Path) -> TrainingData:
    """Read what `save_training` wrote."""
    data = json.loads(path.read_bytes())
    return TrainingData(
        names=tuple(data["names"]),
        new=tuple(_to_sample(item, path.parent) for item in data["new"]),
        new_classes_known=tuple(frozenset(known) for known in data["known"]),
        memory=tuple(_to_sample(item, path.parent) for item in data["memory"]),
        batch_share=data["batch_share"],
        repeats=tuple(data["repeats"]),
        merged_images=data["merged_images"],
        drawn_images=data["drawn_images"],
        pseudo_labels=data["pseudo_labels"],
        unsure=data["unsure"],
        thresholds={name: Threshold.model_validate(found) for name, found in data["thresholds"].items()},
    )


def _write(path: Path, data: object) -> None:
    write_atomic(path, json.dumps(data).encode())


def _from_dataset(dataset: DataSet, folder: Path) -> dict[str, Any]:
    return {
        "name": dataset.name,
        "kind": dataset.kind,
        "names": dataset.names,
        "train": [_from_sample(sample, folder) for sample in dataset.train],
        "val": [_from_sample(sample, folder) for sample in dataset.val],
    }


def _to_dataset(data: dict[str, Any], folder: Path) -> DataSet:
    return DataSet(
        name=data["name"],
        kind=cast("Literal['increment', 'holdout', 'memory']", data["kind"]),
        names=tuple(data["names"]),
        train=tuple(_to_sample(item, folder) for item in data["train"]),
        val=tuple(_to_sample(item, folder) for item in data["val"]),
    )


def _from_sample(sample: Sample, folder: Path) -> list[Any]:
    image = os.path.relpath(sample.image, folder)
    boxes, ignored = _from_boxes(sample.boxes), _from_boxes(sample.ignored)
    return [
        sample.name,
        image,
        boxes,
        sample.width,
        sample.height,
        sample.sha256,
        sample.phash,
        ignored,
        sample.labelled,
    ]


def _to_sample(data: list[Any], folder: Path) -> Sample:
    name, image, boxes, width, height, sha256, phash, ignored, labelled = data
    path = Path(os.path.normpath(folder / image))
    return Sample(name, path, _to_boxes(boxes), width, height, sha256, phash, _to_boxes(ignored), labelled)


def _from_boxes(boxes: Boxes) -> list[list[float]]:
    return [[float(value) for value in row] for row in boxes]


def _to_boxes(rows: list[list[float]]) -> Boxes:
    return np.asarray(rows, dtype=np.float64).reshape(-1, 5)
