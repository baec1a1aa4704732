"""Treering's side: lines that grow by the command line, in processes of their own, on a folder or a real S3 server.

A line's folder is named by what decides its numbers and stays until its last row is in the book, so that a call that
was cut off goes on inside the round, at the last full epoch, as Treering does.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml

from bench.retention.book import Cost
from bench.retention.process import call
from treering_api import PseudoLabels

EMBEDS = ("herding", "kmeans", "hard")
"""Ways to choose the memory that look at every candidate once."""


@dataclass(frozen=True)
class Place:
    """Where lines live and deliveries are fetched from."""

    store: Mapping[str, Any]
    base: str
    server: Any = None
    bucket: str = ""
    sent: dict[Path, str] = field(default_factory=dict)

    def send(self, folder: Path) -> str:
        """The URI of a delivery or hold-out."""
        if self.server is None:
            return folder.resolve().as_uri()
        if folder not in self.sent:
            for path in sorted(path for path in folder.rglob("*") if path.is_file() and path.name[0] != "."):
                key = f"deliveries/{folder.name}/{path.relative_to(folder).as_posix()}"
                self.server.client().upload_file(str(path), self.bucket, key)
            self.sent[folder] = f"s3://{self.bucket}/deliveries/{folder.name}"
        return self.sent[folder]


@dataclass(frozen=True)
class Round:
    """What a round left: its scores by cell, what it cost, how it learned, and its model."""

    scores: dict[str, tuple[float, float]]
    cost: Cost
    strategy: str
    device: str
    model: Path


@contextmanager
def in_folder(folder: Path, weights: Path) -> Iterator[Place]:
    """A line in a folder's `store`."""
    yield Place({"uri": (folder / "store").resolve().as_uri()}, weights.as_uri())


@contextmanager
def on_s3(folder: Path, weights: Path) -> Iterator[Place]:
    """A line on a real S3 server on loopback, which forgets everything in the end; credentials in the environment."""
    from tests.plugins.s3_servers import running_ministack

    data = folder / "s3"
    data.mkdir(parents=True, exist_ok=True)
    with running_ministack(data) as server:
        os.environ.update(server.environment())
        bucket = server.make_bucket()
        server.client().upload_file(str(weights), bucket, f"models/{weights.name}")
        store = {"uri": f"s3://{bucket}/lines/retention", "endpoint": server.endpoint}
        yield Place(store, f"s3://{bucket}/models/{weights.name}", server, bucket)


def grow(folder: Path, resource: Mapping[str, Any], number: int, *, seed_from: Path | None = None) -> Round:
    """Run the line until round `number`, and read what it left.

    Args:
        folder: of the line, with its spec, work folder and store.
        seed_from: checkpoint of the first round, taken if it is there and written if not; see `seeded`.

    Raises:
        FailedError: the command line failed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    told = folder / f"round-{number}.json"
    if told.exists():  # by a call that was cut off later; an earlier spec would contradict what was learned since
        data = json.loads(told.read_text())
        return Round(**{**data, "cost": Cost(**data["cost"]), "model": Path(data["model"])})
    spec = folder / "line.yaml"
    spec.write_text(yaml.safe_dump(dict(resource), sort_keys=False))
    program = ("treering_trainer",) if seed_from is None else ("bench.retention.seeded", seed_from)
    done = call(*program, "run", spec, "--workdir", folder / "work")
    model = folder / f"round-{number}"
    call("treering_trainer", "models", "fetch", spec, model, "--round", str(number))
    record = json.loads((model / "record.json").read_text())
    cost = read_cost(record, resource["spec"].get("policies", {}))
    timed = Cost(**{**vars(cost), "wall_s": done.wall_s, "cpu_s": done.cpu_s})
    left = Round(read_scores(record), timed, record["analyse"]["strategy"], record["train"]["device"], model)
    told.write_text(json.dumps({**vars(left), "cost": asdict(left.cost), "model": str(model)}))
    return left


def read_scores(record: Mapping[str, Any]) -> dict[str, tuple[float, float]]:
    """mAP50 and mAP50-95 on the hold-outs, by `hold-out/class`, from a round's record."""
    return {
        f"{item['name']}/{name}": (score["map50"], score["map50_95"])
        for item in record["evaluate"]["after"]
        if item["kind"] == "holdout"
        for name, score in item["classes"].items()
    }


def read_cost(record: Mapping[str, Any], policies: Mapping[str, Any]) -> Cost:
    """What a round cost, from its record; a round of several attempts has no seconds."""
    train, evaluate = record["train"], record["evaluate"]
    whole = train["attempts"] == 1 and record["attempt"] == 1
    return Cost(
        image_passes=train["image_passes"] + record["prepare"].get("image_passes", 0),
        forward_passes=_forward(record, policies),
        evaluated=sum(item["images"] for item in (*evaluate["before"], *evaluate["after"])),
        seconds=_seconds(record["started"], record["finished"]) if whole else None,
        train_s=train["duration_s"] if whole else None,
        attempts=max(train["attempts"], record["attempt"]),
    )


def _forward(record: Mapping[str, Any], policies: Mapping[str, Any]) -> int:
    """Images that models only looked at. What the record does not tell is counted from what the policies do."""
    if record["analyse"]["strategy"] != "incremental":
        return int(record["train"].get("forward_passes", 0))
    active, prepare, train = record["prepare"]["policies"], record["prepare"], record["train"]
    count = 0
    if "pseudoLabels" in active:
        given = {
            name: value for name, value in policies.get("pseudoLabels", {}).items() if name in ("mirror", "directions")
        }
        settings = PseudoLabels.model_validate(given)
        views = 2 if settings.mirror else 1
        count += views * (prepare["new_images"] if settings.directions != "memory" else 0)
        count += views * (prepare["memory_images"] if settings.directions != "new" else 0)
    if policies.get("replay", {}).get("selection") in EMBEDS and "replay" in active:
        count += prepare["new_images"] + prepare["memory_images"]
    told = train.get("forward_passes")
    if told is None:
        told = train["image_passes"] if "distill" in active else 0  # the teacher sees what the student sees
    return count + int(told)


def _seconds(started: str, finished: str) -> float:
    return (datetime.fromisoformat(finished) - datetime.fromisoformat(started)).total_seconds()
