"""Two donors, each trained on its own half of the images for its own half of the classes; then one model of both.

    python -m bench.merge --data DIR --weights FILE.pt --out FILE.json

No image is labelled for the other donor's classes, nor for the merged line. Everything runs by the command line, in
processes of its own, and is measured on the whole val split with all its labels. A call that was cut off goes on where
it was.
"""

from __future__ import annotations

import argparse
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from bench.retention.lines import Round, grow
from bench.retention.process import call
from bench.retention.scenarios import halves
from bench.retention.source import Source, lot, read_source
from treering_trainer.dataset import Sample, Split, remap, write_dataset

NAIVE = {"preset": "none", "replay": {"enabled": False}}
NAIVE_TRAINING = {"epochs": 14, "learningRate": 1e-3}


def main() -> None:
    """Train, merge, fuse, measure, write."""
    options = parse()
    source = read_source(options.data)
    groups = halves(source.names)
    folders = deliver(source, groups, options.work / "deliveries", options.seed)
    lines = Lines(options.work, options.weights, options.image_size, options.seed, folders)
    donors = [lines.donor(side) for side in range(2)]
    merged, naive = lines.merged(donors), lines.naive()
    fused = lines.fused(donors, merged)
    result = summarise(groups, donors, merged, naive, fused)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(result, indent=1) + "\n")
    print(table(result))


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--data", type=Path, required=True, help="folder in YOLO layout with train and val, names.json")
    parser.add_argument("--weights", type=Path, required=True, help="what both donors start from, an ultralytics .pt")
    parser.add_argument("--out", type=Path, required=True, help="where the numbers go, .json")
    parser.add_argument("--seed", type=int, default=0, help="of halves and trainings")
    parser.add_argument("--image-size", type=int, default=320, help="pixels")
    default = Path.home() / ".cache" / "treering" / "bench" / "merge"
    parser.add_argument("--work", type=Path, default=default, help="lines, deliveries; kept")
    options = parser.parse_args()
    options.work = options.work / f"seed-{options.seed}"
    return options


def deliver(source: Source, groups: Sequence[tuple[str, ...]], folder: Path, seed: int) -> tuple[Path, Path, Path]:
    """The two halves, each labelled for its own classes alone, and the val images with all labels."""
    order = sorted(source.train, key=lambda sample: lot("merge", seed, sample.sha256))
    middle = len(order) // 2
    places = []
    for name, part, names in (("a", order[:middle], groups[0]), ("b", order[middle:], groups[1])):
        places.append(_write(folder / name, [_for(sample, source.names, names) for sample in part], names, "train"))
    return places[0], places[1], _write(folder / "val", source.val, source.names, "val")


def _for(sample: Sample, from_names: tuple[str, ...], names: tuple[str, ...]) -> Sample:
    return replace(sample, boxes=remap(sample.boxes, from_names, names, drop_unknown=True))


def _write(folder: Path, samples: Sequence[Sample], names: tuple[str, ...], split: Split) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    write_dataset(folder, samples, names, split)
    return folder


class Lines:
    """All lines of one comparison, each in a folder of its own."""

    def __init__(self, work: Path, weights: Path, image_size: int, seed: int, folders: tuple[Path, Path, Path]) -> None:
        self.work, self.weights, self.size, self.seed = work.resolve(), weights.resolve(), image_size, seed
        *self.halves, self.val = (folder.resolve() for folder in folders)

    def donor(self, side: int) -> Round:
        """A line's first model, with Treering's defaults, on its own half."""
        name = "ab"[side]
        spec = self._spec(name, {"base": self.weights.as_uri()}, [side])
        return grow(self.work / name, spec, 1)

    def merged(self, donors: Sequence[Round]) -> Round:
        """The first donor's line merged with the second: both halves, each labelled for its own classes."""
        first, second = ((donor.model / "model.pt").as_uri() for donor in donors)
        return grow(self.work / "merged", self._spec("merged", {"base": first, "donors": [{"uri": second}]}, [0, 1]), 1)

    def naive(self) -> Round:
        """The first donor's line goes on with the second's images alone, nothing done against forgetting."""
        folder = self.work / "naive"
        if not (folder / "store").exists():
            shutil.copytree(self.work / "a" / "store", folder / "store")
        spec = self._spec("naive", {"base": self.weights.as_uri()}, [0, 1])
        spec["metadata"] = {"name": "a"}
        spec["spec"] |= {"policies": NAIVE, "strategy": "incremental"}
        spec["spec"]["training"] |= NAIVE_TRAINING
        return grow(folder, spec, 2)

    def fused(self, donors: Sequence[Round], merged: Round) -> dict[str, Any]:
        """Both donors in one artefact, confidences as they are: every labelled picture at hand was trained on."""
        out = self.work / "fused"
        shutil.rmtree(out, ignore_errors=True)
        words: list[str | Path] = ["fuse", *(donor.model for donor in donors), "--out", out, "--data", self.val]
        done = call("treering_trainer", *words, "--beside", merged.model, "--json")
        found: dict[str, Any] = json.loads(done.out)
        return found

    def _spec(self, name: str, model: Mapping[str, Any], sides: Sequence[int]) -> dict[str, Any]:
        return {
            "apiVersion": "treering.dev/v1alpha1",
            "kind": "IncrementalTrain",
            "metadata": {"name": name},
            "spec": {
                "model": {**model, "imageSize": self.size},
                "store": {"uri": (self.work / name / "store").as_uri()},
                "increments": [{"name": "ab"[side], "uri": self.halves[side].as_uri()} for side in sides],
                "evaluation": {
                    "holdouts": [{"name": "val", "uri": self.val.as_uri()}],
                    "gate": {"maxForgetting": 1.0},  # measured, not judged
                },
                "verification": {"maxQuarantined": 1.0},
                "training": {"seed": self.seed},
            },
        }


def summarise(
    groups: Sequence[tuple[str, ...]],
    donors: Sequence[Round],
    merged: Round,
    naive: Round,
    fused: Mapping[str, Any],
) -> dict[str, Any]:
    """mAP50 of each on each group of classes, and what the issue of merging asks for."""
    own = [_mean(donor, group) for donor, group in zip(donors, groups, strict=True)]
    names = tuple(name for group in groups for name in group)
    rows = {row["kind"]: row for row in fused["rows"] if row["kind"] in ("fused", "graph", "beside")}
    return {
        "classes": groups,
        "donors": own,
        "donorsMean": sum(own) / 2,
        "merged": {"all": _mean(merged, names), "byGroup": [_mean(merged, group) for group in groups]},
        "naive": {"all": _mean(naive, names), "byGroup": [_mean(naive, group) for group in groups]},
        "fused": {"all": rows["fused"]["map50"]},
        "merge": json.loads((merged.model / "record.json").read_text())["prepare"]["merge"],
        "passes": {"donors": [donor.cost.image_passes for donor in donors], "merged": merged.cost.image_passes},
        "latencyMs": {kind: [row["latencyMs"], row["latencyP95Ms"]] for kind, row in rows.items()},
        "rows": fused["rows"],
    }


def _mean(done: Round, names: Sequence[str]) -> float:
    found = [score for cell, (score, _) in done.scores.items() if cell.partition("/")[2] in names]
    return sum(found) / len(names)


def table(result: Mapping[str, Any]) -> str:
    """As Markdown."""
    lines = [
        "| | mAP50, all | first group | second group |",
        "|---|---|---|---|",
        _row("donors, each on its own", result["donorsMean"], result["donors"]),
        _row("merged by fine-tuning", result["merged"]["all"], result["merged"]["byGroup"]),
        _row("fused, no training", result["fused"]["all"], ()),
        _row("first donor tuned on the second's images", result["naive"]["all"], result["naive"]["byGroup"]),
    ]
    return "\n".join(lines)


def _row(name: str, mean: float, groups: Sequence[float]) -> str:
    cells = [f"{value:.3f}" for value in (mean, *groups)]
    return f"| {name} | {' | '.join([*cells, *[''] * (3 - len(cells))])} |"


if __name__ == "__main__":
    main()
