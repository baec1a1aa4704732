"""One training by bare ultralytics, and its scores by Treering's evaluation: `python -m bench.retention.bare JOB.json`.

The settings are those that Treering found best for itself: AdamW, one step per batch of 16, no raised learning rate
for biases in the warm-up (ultralytics' defaults are 64 images per step and a bias rate of .1, and do worse here). It
computes with as many threads as Treering does; left alone, ultralytics takes one less than there are processors. Cut
off, it goes on from ultralytics' own checkpoint of the last epoch, which is near to an unbroken run but not the same.
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

CHECKPOINT = "run/weights/last.pt"


@dataclass(frozen=True)
class Job:
    """What to train.

    Args:
        weights: to start from.
        train: folder in YOLO layout.
        names: its classes, in its own order.
        holdouts: folders in YOLO layout, by name.
        folder: work folder; result.json and the weights are left in it.
    """

    weights: str
    train: str
    names: list[str]
    holdouts: dict[str, str]
    folder: str
    epochs: int
    rate: float
    image_size: int
    batch: int
    seed: int
    head_only: bool


def main() -> None:
    """Train and measure what the job says; where result.json is there, nothing."""
    job = Job(**json.loads(Path(sys.argv[1]).read_text()))
    folder = Path(job.folder)
    if (folder / "result.json").exists():
        return
    _keep_threads()
    train_s, attempts = train(job, folder)
    scores, evaluated = score(job, folder / CHECKPOINT)
    result = {
        "scores": scores,
        "evaluated": evaluated,
        "image_passes": job.epochs * len(list((Path(job.train) / "images" / "train").iterdir())),
        "train_s": train_s,
        "attempts": attempts,
        "device": _device(),
    }
    (folder / "result.json").write_text(json.dumps(result))


def train(job: Job, folder: Path) -> tuple[float, int]:
    """Train, or go on; gives the seconds until the last epoch's end over all attempts, and how many those were.

    ultralytics validates twice after the last epoch, though nobody asked: that is not counted.
    """
    from ultralytics.models import YOLO

    clock = _Clock(folder / "clock.json")
    checkpoint, epoch = folder / CHECKPOINT, _epoch_of(folder / CHECKPOINT)
    if epoch is not None and epoch not in range(job.epochs - 1):  # -1: ended and stripped
        return clock.seconds, clock.attempts
    clock.start()
    resumes = epoch is not None
    model = YOLO(checkpoint if resumes else job.weights)
    model.add_callback("on_train_epoch_end", lambda trainer: clock.tick(last=trainer.epoch + 1 >= trainer.epochs))
    model.add_callback("on_model_save", lambda _trainer: clock.keep())
    model.train(**({"resume": True} if resumes else _arguments(job, folder)))
    return clock.seconds, clock.attempts


def score(job: Job, checkpoint: Path) -> tuple[dict[str, tuple[float, float]], int]:
    """mAP50 and mAP50-95 by `hold-out/class`, and how many images were looked at."""
    import torch
    from ultralytics.models import YOLO

    from treering_api import Verification
    from treering_trainer.dataset import read_dataset, remap
    from treering_trainer.yolo.detector import YoloDetector
    from treering_trainer.yolo.evaluation import evaluate

    network: Any = YOLO(checkpoint).model
    device = "cuda:0" if torch.cuda.is_available() else "cpu"
    detector = YoloDetector(network.float().eval().to(device), job.image_size, device)
    found, images = dict[str, tuple[float, float]](), 0
    for name, place in job.holdouts.items():
        dataset = read_dataset(Path(place), name, "holdout", Verification(max_quarantined=1.0)).dataset
        samples = [
            replace(item, boxes=remap(item.boxes, dataset.names, detector.names, drop_unknown=True))
            for item in dataset.val
        ]
        if not any(len(item.boxes) for item in samples):
            continue  # it knows none of the classes
        result, _ = evaluate(detector, samples, name=name, kind="holdout", folder=Path(job.folder) / "val" / name)
        found |= {f"{name}/{label}": (item.map50, item.map50_95) for label, item in result.classes.items()}
        images += len(samples)
    return found, images


class _Clock:
    """Seconds of training over all attempts, kept with every checkpoint; stands still after the last epoch."""

    def __init__(self, path: Path) -> None:
        self._path = path
        data: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {"seconds": 0.0, "attempts": 0}
        self.seconds: float = data["seconds"]
        self.attempts: int = data["attempts"]
        self._last_s = time.monotonic()
        self._stands = False

    def start(self) -> None:
        self.attempts += 1
        self._write()

    def tick(self, *, last: bool = False) -> None:
        now_s = time.monotonic()
        if not self._stands:
            self.seconds += now_s - self._last_s
        self._last_s, self._stands = now_s, last or self._stands

    def keep(self) -> None:
        self.tick()
        self._write()

    def _write(self) -> None:
        self._path.write_text(json.dumps({"seconds": self.seconds, "attempts": self.attempts}))


def _arguments(job: Job, folder: Path) -> dict[str, Any]:
    data, few = folder / "data.yaml", folder / "val.txt"
    images = Path(job.train) / "images" / "train"
    few.write_text("".join(f"{path}\n" for path in sorted(images.iterdir())[: job.batch]))  # it insists on some
    data.write_text(yaml.safe_dump({"train": str(images), "val": str(few), "names": dict(enumerate(job.names))}))
    found: dict[str, Any] = {
        "data": str(data), "epochs": job.epochs, "lr0": job.rate, "imgsz": job.image_size, "batch": job.batch,
        "nbs": job.batch, "seed": job.seed, "optimizer": "AdamW", "warmup_bias_lr": 0.0, "val": False, "plots": False,
        "verbose": False, "workers": 0 if _device() == "cpu" else 4, "cache": "ram", "project": str(folder),
        "name": "run", "exist_ok": True, "patience": 0,
        "amp": _device() != "cpu",  # a processor's half precision is fifty times slower
    }  # fmt: skip
    if job.head_only:
        found["freeze"] = _layers(job.weights) - 1
    return found


def _layers(weights: str) -> int:
    from ultralytics.models import YOLO

    network: Any = YOLO(weights).model
    return len(network.model)


def _epoch_of(checkpoint: Path) -> int | None:
    """The epoch that ultralytics' checkpoint was written after, -1 for one that has ended; None without one."""
    import torch

    if not checkpoint.exists():
        return None
    return int(torch.load(checkpoint, map_location="cpu", weights_only=False)["epoch"])  # our own


def _device() -> str:
    import torch

    return torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu"


def _keep_threads() -> None:
    import torch
    from ultralytics.engine import trainer

    from treering_trainer.engine.machine import available_processors
    from treering_trainer.yolo.threads import keep_threads

    torch.set_num_threads(available_processors())  # importing ultralytics may have left one
    keep_threads()
    vars(trainer)["check_amp"] = lambda _model: True  # it would download a model to try mixed precision on


if __name__ == "__main__":
    main()
