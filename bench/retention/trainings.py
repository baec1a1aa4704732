"""Bare trainings as they are asked for: each in a folder of the cache that is named by what it learns, done once."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict
from pathlib import Path

from bench.retention.bare import Job
from bench.retention.book import Cost
from bench.retention.lines import Round
from bench.retention.probe import Probe
from bench.retention.process import call

COST, RESULT = "cost.json", "result.json"


def has_ended(folder: Path) -> bool:
    """Whether an earlier call did this training to its end."""
    return (folder / COST).exists()


def train_bare(job: Job, probe: Probe, *, keep_weights: bool) -> Round:
    """Train and measure in a process of its own, go on with what was cut off, or read what has ended.

    Raises:
        FailedError: ultralytics failed; the next call goes on at the last epoch.
    """
    folder = Path(job.folder)
    folder.mkdir(parents=True, exist_ok=True)
    if not has_ended(folder):
        (folder / "job.json").write_text(json.dumps(asdict(job)))
        with probe.beside() as speed:
            done = call("bench.retention.bare", folder / "job.json", heard=False)
        result = json.loads((folder / RESULT).read_text())
        cost = Cost(
            image_passes=result["image_passes"],
            evaluated=result["evaluated"],
            seconds=result["train_s"],
            train_s=result["train_s"],
            wall_s=done.wall_s,
            cpu_s=done.cpu_s,
            probe_s=speed.value_s,
            attempts=result["attempts"],
        )
        (folder / COST).write_text(json.dumps(asdict(cost)))
        shutil.rmtree(folder / ("val" if keep_weights else "run"), ignore_errors=True)
    result, cost = json.loads((folder / RESULT).read_text()), Cost(**json.loads((folder / COST).read_text()))
    return Round(result["scores"], cost, "", result["device"], folder)
