"""How much a line keeps and gains: joint training, naive fine-tuning and Treering on one data set, in one table.

    python -m bench.retention --data DIR --weights FILE --old a,b --methods joint,naive,treering --seeds 2 --out F.json

`treering` runs the real command line on a real S3 server: two deliveries by the VOC protocol (`bench.protocol`), a
hold-out, and the memory of Treering's defaults. `joint` and `naive` are bare ultralytics.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml

from bench.plain import Scores, train_joint, train_naive
from bench.protocol import Split, write_deliveries
from tests.plugins.s3_servers import S3Server, running_ministack

METHODS = ("joint", "naive", "treering")


@dataclass(frozen=True)
class Row:
    """One method with one seed.

    Args:
        start: mAP50 on the old classes after the first delivery; None for joint.
        passes: images shown in the measured training (the second round).
        train_s: seconds inside training.
        round_s: seconds from the round's start to its publication; None for bare ultralytics.
        wall_s: seconds of the whole command, the start of Python included; for bare ultralytics its `train()`.
    """

    method: str
    seed: int
    map50: float
    old: float
    new: float
    start: float | None
    passes: int
    train_s: float
    wall_s: float
    per_class: dict[str, float]
    round_s: float | None = None


def main() -> None:
    """Parse, measure, print and write."""
    options = parse()
    split = Split(options.data, tuple(options.old.split(",")))
    rows = earlier(options)
    for seed in range(options.first_seed, options.first_seed + options.seeds):
        for row in measure(split, options, seed):
            rows = [other for other in rows if (other.method, other.seed) != (row.method, row.seed)] + [row]
            write(options, split, rows)
    print(table(rows))


def earlier(options: argparse.Namespace) -> list[Row]:
    """What an earlier call wrote into the same file: other methods and seeds can be added to it."""
    if not options.out.exists():
        return []
    data = json.loads(options.out.read_text())
    now = header(options, Split(options.data, tuple(options.old.split(","))))
    if any(data[name] != value for name, value in json.loads(json.dumps(now)).items()):
        raise SystemExit(f"{options.out} holds the numbers of another comparison: give another --out")
    return [Row(**row) for row in data["rows"]]


def header(options: argparse.Namespace, split: Split) -> dict[str, Any]:
    """What all rows of a file have in common."""
    return {
        "data": options.data.name,
        "weights": options.weights.name,
        "old": split.old,
        "new": split.new,
        "imageSize": options.image_size,
        "joint": {"epochs": options.joint_epochs, "learningRate": options.joint_rate},
    }


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description="Retention of Treering beside joint training and naive fine-tuning.")
    parser.add_argument("--data", type=Path, required=True, help="folder in YOLO layout with names.json")
    parser.add_argument("--weights", type=Path, required=True, help="base weights, an ultralytics .pt")
    parser.add_argument("--old", required=True, help="classes of the first delivery, separated by commas")
    parser.add_argument("--methods", default=",".join(METHODS), help="some of joint,naive,treering")
    parser.add_argument("--seeds", type=int, default=1, help="how many seeds")
    parser.add_argument("--first-seed", type=int, default=0, help="the first of them")
    parser.add_argument("--out", type=Path, required=True, help="JSON file for the numbers")
    parser.add_argument("--image-size", type=int, default=320, help="pixels")
    parser.add_argument("--joint-epochs", type=int, default=20, help="epochs of joint training")
    parser.add_argument("--joint-rate", type=float, default=1e-3, help="its learning rate (AdamW, batch 16)")
    parser.add_argument("--work", type=Path, default=None, help="work folder; default: a temporary one")
    options = parser.parse_args()
    unknown = set(options.methods.split(",")) - set(METHODS)
    if unknown:
        parser.error(f"unknown methods: {', '.join(sorted(unknown))}")
    return options


def measure(split: Split, options: argparse.Namespace, seed: int) -> Iterator[Row]:
    """The rows of one seed."""
    methods = options.methods.split(",")
    work = (options.work or Path(tempfile.mkdtemp(prefix="retention-"))) / f"seed-{seed}"
    size = options.image_size
    start = options.weights
    if "treering" in methods or "naive" in methods:  # naive starts from the model that Treering starts from
        row, start = grow_line(split, options.weights.resolve(), work / "treering", size=size, seed=seed,
                               rounds=2 if "treering" in methods else 1)  # fmt: skip
        if row is not None:
            yield row
    if "naive" in methods:
        scores = train_naive(split, start, work, epochs=14, rate=1e-3, size=size, seed=seed)
        yield plain_row("naive", seed, split, scores)
    if "joint" in methods:
        joint = {"epochs": options.joint_epochs, "rate": options.joint_rate}
        yield plain_row("joint", seed, split, train_joint(split, options.weights, work, size=size, seed=seed, **joint))


def grow_line(split: Split, weights: Path, work: Path, *, size: int, seed: int, rounds: int) -> tuple[Row | None, Path]:
    """Run a line of two increments through the command line; gives the second round's row and the first model."""
    shutil.rmtree(work, ignore_errors=True)
    folders = write_deliveries(split, work / "deliveries")
    with s3_server(work) as server:
        bucket = server.make_bucket()
        for folder in folders:
            upload(server, bucket, folder, f"deliveries/{folder.name}")
        server.client().upload_file(str(weights), bucket, f"models/{weights.name}")
        spec = work / "line.yaml"
        for count in range(1, rounds + 1):
            spec.write_text(yaml.safe_dump(line(bucket, server, weights.name, size, seed, count)))
            _, wall_s = call("run", str(spec), "--workdir", str(work / "work"))
        call("models", "fetch", str(spec), str(work / "first"), "--round", "1")
        first = json.loads((work / "first" / "record.json").read_text())
        if rounds == 1:
            return None, work / "first" / "model.pt"
        history = json.loads(call("history", str(spec), "--json")[0])
        folder = history[-1]["uri"].removeprefix(f"s3://{bucket}/")
        record = json.loads(server.client().get_object(Bucket=bucket, Key=f"{folder}/record.json")["Body"].read())
    return line_row(split, seed, first, record, history[-1], wall_s), work / "first" / "model.pt"


def line(bucket: str, server: S3Server, weights: str, size: int, seed: int, count: int) -> dict[str, Any]:
    """A spec as short as a user would write it: everything that teaches is a default."""
    names = ("first", "second")[:count]
    return {
        "apiVersion": "treering.dev/v1alpha1",
        "kind": "IncrementalTrain",
        "metadata": {"name": "retention"},
        "spec": {
            "model": {"base": f"s3://{bucket}/models/{weights}", "imageSize": size},
            "store": {"uri": f"s3://{bucket}/lines/retention", "endpoint": server.endpoint},
            "increments": [{"name": name, "uri": f"s3://{bucket}/deliveries/{name}"} for name in names],
            "evaluation": {
                "holdouts": [{"name": "golden", "uri": f"s3://{bucket}/deliveries/golden"}],
                "gate": {"maxForgetting": 1.0},  # measured, not judged
            },
            "training": {"seed": seed},
        },
    }


def line_row(
    split: Split, seed: int, first: dict[str, Any], record: dict[str, Any], summary: dict[str, Any], wall_s: float
) -> Row:
    """The second round's row."""
    scores = next(item for item in record["evaluate"]["after"] if item["name"] == "golden")["classes"]
    per_class = {name: scores[name]["map50"] if name in scores else 0.0 for name in split.union}
    return Row(
        method="treering",
        seed=seed,
        map50=_mean(per_class, split.union),
        old=_mean(per_class, split.old),
        new=_mean(per_class, split.new),
        start=first["evaluate"]["map50"],
        passes=record["train"]["image_passes"],
        train_s=record["train"]["duration_s"],
        round_s=(_time(summary["finished"]) - _time(summary["started"])).total_seconds(),
        wall_s=wall_s,
        per_class=per_class,
    )


def plain_row(method: str, seed: int, split: Split, scores: Scores) -> Row:
    """A row of bare ultralytics."""
    return Row(
        method=method,
        seed=seed,
        map50=scores.mean(split.union),
        old=scores.mean(split.old),
        new=scores.mean(split.new),
        start=None,
        passes=scores.image_passes,
        train_s=scores.train_s,
        wall_s=scores.train_s,
        per_class=scores.per_class,
    )


def table(rows: list[Row]) -> str:
    """Means over seeds, a line each method; forgetting in points."""
    lines = ["method     seeds  mAP50   old    new   forgotten  passes  train s  wall s  overhead  s/1000 passes"]
    for method in METHODS:
        mine = [row for row in rows if row.method == method]
        if mine:
            lines.append(_line(method, mine))
    return "\n".join(lines)


def write(options: argparse.Namespace, split: Split, rows: list[Row]) -> None:
    """The numbers so far, so that a run that is cut off leaves what it measured."""
    data = {
        **header(options, split),
        "command": " ".join(["python -m bench.retention", *sys.argv[1:]]),
        "rows": [asdict(row) for row in rows],
    }
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(data, indent=1) + "\n")


@contextmanager
def s3_server(work: Path) -> Iterator[S3Server]:
    """A real S3 server on loopback, its credentials in the environment."""
    folder = work / "s3"
    folder.mkdir(parents=True)
    with running_ministack(folder) as server:
        os.environ.update(server.environment())
        yield server


def upload(server: S3Server, bucket: str, folder: Path, prefix: str) -> None:
    """A folder as a delivery."""
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        server.client().upload_file(str(path), bucket, f"{prefix}/{path.relative_to(folder).as_posix()}")


def call(*arguments: str) -> tuple[str, float]:
    """Run the command line; gives its standard output and its seconds. Its log goes to ours."""
    start_s = time.monotonic()
    done = subprocess.run([sys.executable, "-m", "treering_trainer", *arguments], stdout=subprocess.PIPE, text=True)
    wall_s = time.monotonic() - start_s
    if done.returncode != 0:
        raise SystemExit(f"treering {' '.join(arguments)} ended with {done.returncode}:\n{done.stdout}")
    return done.stdout, wall_s


def _line(method: str, rows: list[Row]) -> str:
    def mean(values: list[float | None]) -> float | None:
        known = [value for value in values if value is not None]
        return statistics.mean(known) if known else None

    forgotten = mean([None if row.start is None else 100 * (row.start - row.old) for row in rows])
    train_s, wall_s = statistics.mean(row.train_s for row in rows), statistics.mean(row.wall_s for row in rows)
    beyond = mean([None if row.round_s is None else (row.round_s - row.train_s) / row.train_s for row in rows])
    overhead = "-" if beyond is None else f"{beyond:.1%}"
    scores = "  ".join(f"{statistics.mean(getattr(row, part) for row in rows):.3f}" for part in ("map50", "old", "new"))
    lost = "-" if forgotten is None else f"{forgotten:+.1f}"
    passes = rows[0].passes
    return (
        f"{method:<10} {len(rows):>5}  {scores}  {lost:>9}  {passes:>6}  {train_s:>7.0f}  {wall_s:>6.0f}"
        f"  {overhead:>8}  {1000 * wall_s / passes:>13.1f}"
    )


def _mean(per_class: dict[str, float], names: tuple[str, ...]) -> float:
    return sum(per_class[name] for name in names) / len(names)


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)


if __name__ == "__main__":
    main()
