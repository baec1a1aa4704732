"""COCO's person and a detector of other things in one model: merged by fine-tuning, and fused without training.

    python -m bench.merge.person --data DIR --weights COCO.pt --donor MODEL.pt --out FILE.json [--people DIR]

The delivery is the train split of `--data`, labelled for its classes; persons are known from COCO's model alone.
`--people` adds pictures that show some, without any label. Judged on the val split, and on the two pictures that
ultralytics ships, with those of `--judge`: of the persons that COCO's model finds there with confidence .5, how many
does the one model find at .25, with an IoU of .7 or more?
"""

from __future__ import annotations

import argparse
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import yaml
from torchvision.ops import box_iou

from bench.retention.lines import grow
from bench.retention.process import call
from bench.retention.source import read_source
from treering_trainer.dataset import list_pictures, write_dataset

PERSON = "person"
SURE, FOUND, SAME = 0.5, 0.25, 0.7


def main() -> None:
    """Merge, fuse, measure, write."""
    options = parse()
    source = read_source(options.data)
    work = options.work.resolve()
    train, val = work / "train", work / "val"
    for folder in (train, val):
        shutil.rmtree(folder, ignore_errors=True)
    write_dataset(train, source.train, source.names, "train")
    write_dataset(val, source.val, source.names, "val")
    merged = grow(work / "merged", line(options, train, val, source.names), 1)
    fused = work / "fused"
    shutil.rmtree(fused, ignore_errors=True)
    done = call(
        *("treering_trainer", "fuse", options.weights, options.donor, "--take", f"1:{PERSON}", "--out", fused),
        *("--image-size", str(options.image_size), "--data", val, "--beside", options.donor, "--json"),
    )
    rows = {row["kind"]: row for row in json.loads(done.out)["rows"]}
    record = json.loads((merged.model / "record.json").read_text())
    result = {
        "persons": persons(options, merged.model / "model.pt", fused),
        "map50": {
            "donor": rows["beside"]["map50"],
            "merged": sum(score for score, _ in merged.scores.values()) / len(merged.scores),
            "fused": rows["fused"]["map50"],
        },
        "latencyMs": {kind: row["latencyMs"] for kind, row in rows.items()},
        "merge": record["prepare"]["merge"],
        "pseudoLabels": record["prepare"]["pseudo_labels"],
        "passes": merged.cost.image_passes,
    }
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(result, indent=1) + "\n")
    print(table(result))


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--data", type=Path, required=True, help="folder in YOLO layout with train and val, names.json")
    parser.add_argument("--weights", type=Path, required=True, help="a model that knows persons, an ultralytics .pt")
    parser.add_argument("--donor", type=Path, required=True, help="a model of the classes of --data, .pt")
    parser.add_argument("--out", type=Path, required=True, help="where the numbers go, .json")
    parser.add_argument("--people", type=Path, help="folder with images/: pictures with persons, unlabelled")
    parser.add_argument("--judge", type=Path, help="folder: further pictures to judge on, shown to no training")
    parser.add_argument("--image-size", type=int, default=320, help="pixels")
    parser.add_argument("--seed", type=int, default=0, help="of the training")
    parser.add_argument("--spec", type=Path, help="YAML laid over the line's spec, such as {model: {trunk: base}}")
    default = Path.home() / ".cache" / "treering" / "bench" / "person"
    parser.add_argument("--work", type=Path, default=default, help="line, delivery; kept")
    return parser.parse_args()


def line(options: argparse.Namespace, train: Path, val: Path, names: tuple[str, ...]) -> dict[str, Any]:
    """The line that merges."""
    spec: dict[str, Any] = {
        "model": {
            "base": options.weights.resolve().as_uri(),
            "classes": [PERSON],
            "donors": [{"uri": options.donor.resolve().as_uri(), "classes": list(names)}],
            "imageSize": options.image_size,
        },
        "store": {"uri": (options.work.resolve() / "merged" / "store").as_uri()},
        "increments": [{"name": "train", "uri": train.as_uri()}],
        "evaluation": {"holdouts": [{"name": "val", "uri": val.as_uri()}], "gate": {"maxForgetting": 1.0}},
        "verification": {"maxQuarantined": 1.0, "missingLabels": "unlabelled"},
        "training": {"seed": options.seed},
    }
    if options.people is not None:
        spec["increments"].append({"name": "people", "uri": options.people.resolve().as_uri()})
    if options.spec is not None:
        for block, fields in yaml.safe_load(options.spec.read_text()).items():
            spec[block] = {**spec.get(block, {}), **fields}
    return {
        "apiVersion": "treering.dev/v1alpha1",
        "kind": "IncrementalTrain",
        "metadata": {"name": "merged"},
        "spec": spec,
    }


def persons(options: argparse.Namespace, merged: Path, fused: Path) -> dict[str, dict[str, int]]:
    """By picture: persons that COCO's model is sure of, and how many of them each model finds."""
    from ultralytics.models import YOLO
    from ultralytics.utils import ASSETS

    from treering_trainer.yolo.fusion.predictor import FusedDetector

    given = {"imgsz": options.image_size, "rect": False, "device": "cpu", "verbose": False}
    coco, one, pair = YOLO(options.weights), YOLO(merged), FusedDetector.load(fused)
    counts = {}
    further = list_pictures(options.judge) if options.judge is not None else []
    for path in (ASSETS / "bus.jpg", ASSETS / "zidane.jpg", *further):
        picture = str(path)
        sure = boxes(coco.predict(picture, conf=SURE, **given))
        counts[path.name] = {
            "sure": len(sure),
            "merged": found(sure, boxes(one.predict(picture, conf=FOUND, **given))),
            "fused": found(sure, boxes(pair.predict(picture, confidence=FOUND))),
        }
    return counts


def boxes(results: Any) -> torch.Tensor:
    """Persons' corners in the only picture, (n, 4)."""
    result = results[0]
    return torch.as_tensor(result.boxes.xyxy)[[result.names[int(index)] == PERSON for index in result.boxes.cls]]


def found(sure: torch.Tensor, seen: torch.Tensor) -> int:
    """How many of `sure` are among `seen`."""
    return int((box_iou(sure, seen).amax(dim=1) >= SAME).sum()) if len(sure) and len(seen) else 0


def table(result: Mapping[str, Any]) -> str:
    """As Markdown."""
    pictures = result["persons"]
    sure = sum(counts["sure"] for counts in pictures.values())
    lines = ["| | mAP50 | persons found |", "|---|---|---|", f"| the donor | {result['map50']['donor']:.3f} | |"]
    for kind in ("merged", "fused"):
        seen = sum(counts[kind] for counts in pictures.values())
        lines.append(f"| {kind} | {result['map50'][kind]:.3f} | {seen} of {sure} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
