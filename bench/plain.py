"""What Treering is compared with: bare ultralytics, joint training and naive fine-tuning.

Both get the optimizer settings that Treering found best for itself: AdamW, one step per batch of 16, no raised learning
rate for biases in the warm-up (ultralytics' defaults are 64 images per step and a bias rate of .1, and do worse here).
Both compute with as many threads as Treering does; left alone, ultralytics takes one less than there are processors.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from bench.protocol import Split, write_subset


@dataclass(frozen=True)
class Scores:
    """mAP50 on the hold-out, with what it cost."""

    per_class: dict[str, float]
    image_passes: int
    train_s: float

    def mean(self, names: tuple[str, ...]) -> float:
        """Mean over `names`."""
        return sum(self.per_class[name] for name in names) / len(names)


def train_joint(split: Split, weights: Path, out: Path, *, epochs: int, rate: float, size: int, seed: int) -> Scores:
    """All train images with all labels from the base weights: the upper bound."""
    folder = write_subset(split, out / "joint", "train", split.union)
    return _train(split, folder, weights, out / "joint-run", epochs=epochs, lr0=rate, imgsz=size, seed=seed)


def train_naive(split: Split, start: Path, out: Path, *, epochs: int, rate: float, size: int, seed: int) -> Scores:
    """The second delivery alone, on top of a model of the first: what people do, and regret."""
    folder = write_subset(split, out / "naive", "train", split.new)
    _shift_labels(folder, len(split.old))
    return _train(split, folder, start, out / "naive-run", epochs=epochs, lr0=rate, imgsz=size, seed=seed)


def _train(split: Split, folder: Path, weights: Path, out: Path, **arguments: Any) -> Scores:
    import torch
    from ultralytics.models import YOLO

    from treering_trainer.engine.machine import available_processors
    from treering_trainer.yolo.threads import keep_threads

    torch.set_num_threads(available_processors())  # importing ultralytics may have left one
    keep_threads()
    golden = write_subset(split, out / "golden", "val", split.union, keep_all=True)
    data = out / "data.yaml"
    names = dict(enumerate(split.union))
    data.write_text(
        yaml.safe_dump({"train": str(folder / "images/train"), "val": str(golden / "images/val"), "names": names})
    )
    model = YOLO(weights)
    images = len(list((folder / "images" / "train").iterdir()))
    start_s = time.monotonic()
    model.train(
        data=str(data), optimizer="AdamW", batch=16, val=False, plots=False, verbose=False, workers=0,
        nbs=16, warmup_bias_lr=0.0, cache="ram", project=str(out), name="run", exist_ok=True, **arguments,
    )  # fmt: skip
    train_s = time.monotonic() - start_s
    last = YOLO(out / "run" / "weights" / "last.pt")
    result = last.val(data=str(data), imgsz=arguments["imgsz"], plots=False, verbose=False, workers=0)
    found = {
        split.union[int(index)]: float(value)
        for index, value in zip(result.box.ap_class_index, result.box.ap50, strict=True)
    }
    return Scores({name: found.get(name, 0.0) for name in split.union}, images * arguments["epochs"], train_s)


def _shift_labels(folder: Path, by: int) -> None:
    for path in (folder / "labels" / "train").iterdir():
        rows = [line.split() for line in path.read_text().splitlines()]
        path.write_text("".join(f"{' '.join([str(int(row[0]) + by), *row[1:]])}\n" for row in rows))
