"""The operator beside Kubeflow Trainer's controller: latency, API calls, memory, processor time and restarts.

    python -m bench.operator --out FILE.json [--lines 1000] [--rate 20] [--seconds 30] [--sides treering,kubeflow]

Each side gets a fresh etcd, API server, controller-manager and scheduler, and a fake node whose pods end by themselves.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import shutil
import sys
import tempfile
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench.operator import kubeflow
from bench.operator.client import Client
from bench.operator.cluster import Cluster, running_cluster
from bench.operator.figures import ratios, table
from bench.operator.mounts import Mounts
from bench.operator.observer import Observer
from bench.operator.phases import Load, Run
from bench.operator.sides import Side
from bench.operator.treering import Treering

SIDES = ("treering", "kubeflow")
_COLUMNS = (("treering", "job"), ("kubeflow", "jobset"), ("kubeflow", "job"))


def main() -> None:
    """Parse, measure, print and write."""
    options = parse()
    report = earlier(options)
    for name in options.sides.split(","):
        report["sides"][name] = measure(name, options)
        write(options, report)
    print(table(report["sides"], [column for column in _COLUMNS if column[0] in report["sides"]]))


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description="The operator beside Kubeflow Trainer's controller.")
    parser.add_argument("--out", type=Path, required=True, help="JSON file for the numbers; sides can be added to it")
    parser.add_argument("--sides", default=",".join(SIDES), help="some of treering,kubeflow")
    parser.add_argument("--lines", type=int, default=1000, help="lines that stand")
    parser.add_argument("--rate", type=float, default=20, help="events a second")
    parser.add_argument("--seconds", type=float, default=30, help="how long")
    parser.add_argument("--changes", type=int, default=10, help="changes made while the controller is down")
    parser.add_argument("--run-seconds", type=float, default=40, help="how long a pod runs")
    parser.add_argument("--timeout", type=float, default=300, help="patience with each phase, in seconds")
    parser.add_argument(
        "--flags", default="", help="further flags of Treering's operator, in one word: --flags='--workers 32'"
    )
    parser.add_argument("--keep", type=Path, default=None, help="keep logs in this folder")
    options = parser.parse_args()
    unknown = set(options.sides.split(",")) - set(SIDES)
    if unknown:
        parser.error(f"unknown sides: {', '.join(sorted(unknown))}")
    return options


def earlier(options: argparse.Namespace) -> dict[str, Any]:
    """What an earlier call wrote into the same file, if it asked for as much."""
    head = {
        "load": {name: getattr(options, name) for name in ("lines", "rate", "seconds", "changes", "run_seconds")},
        "machine": machine(),
    }
    if options.out.exists():
        data: dict[str, Any] = json.loads(options.out.read_text())
        if any(data[name] != value for name, value in head.items()):
            raise SystemExit(f"{options.out} holds the numbers of another load or machine: give another --out")
        return data
    return {**head, "command": "", "sides": {}}


def measure(name: str, options: argparse.Namespace) -> dict[str, Any]:
    """The figures of one side."""
    folder = Path(tempfile.mkdtemp(prefix=f"bench-{name}-"))
    side: Side = (
        Treering(tuple(options.flags.split())) if name == "treering" else kubeflow.Kubeflow(kubeflow.build(_cache()))
    )
    try:
        with running_cluster(folder / "cluster", side.users, side.definitions(), options.run_seconds) as cluster:
            version = json.loads(cluster.server.kubectl("version", "-o", "json"))["serverVersion"]["gitVersion"]
            figures = asyncio.run(_measure(side, cluster, options))
        taken = datetime.now(UTC).isoformat(timespec="seconds")
        return {
            "time": taken,
            "versions": {**side.versions, "kubernetes": version},
            **figures,
        }
    finally:
        if options.keep:
            shutil.copytree(folder / "cluster", options.keep / name, ignore=shutil.ignore_patterns("etcd"))
        shutil.rmtree(folder, ignore_errors=True)


async def _measure(side: Side, cluster: Cluster, options: argparse.Namespace) -> dict[str, Any]:
    load = Load(options.lines, options.rate, options.seconds, options.changes, options.timeout)
    start_s = time.monotonic()

    def say(what: str) -> None:
        print(f"{time.monotonic() - start_s:6.1f} s  {side.name}: {what}", file=sys.stderr, flush=True)

    async with Client(cluster.server.url, str(cluster.server.ca), cluster.server.token) as client:
        await side.install(client)
        async with Observer(client, side.children) as observer:
            controllers = await side.start(cluster, client)
            mounts = asyncio.create_task(Mounts(client).run())
            run = Run(side, cluster, client, observer, controllers, load, say)
            try:
                return await run.measure()
            finally:
                if mounts.done():
                    mounts.result()
                mounts.cancel()
                for program in run.controllers.programs:
                    program.end()


def machine() -> dict[str, Any]:
    """What the numbers were taken on."""
    found = {"processors": os.cpu_count(), "python": platform.python_version()}
    with suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        found["model"] = next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
        found["memory_gib"] = round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30)
    return found


def write(options: argparse.Namespace, report: dict[str, Any]) -> None:
    """The numbers so far, so that a run that is cut off leaves what it measured."""
    report["command"] = " ".join(["python -m bench.operator", *sys.argv[1:]])
    if set(SIDES) <= set(report["sides"]):
        mine, peer = report["sides"]["treering"], report["sides"]["kubeflow"]
        report["ratios"] = {
            "treering job / kubeflow jobset": ratios(mine, peer, "job", "jobset"),
            "treering job / kubeflow job": ratios(mine, peer, "job", "job"),
        }
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(report, indent=1) + "\n")


def _cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")


if __name__ == "__main__":
    main()
