"""Our side: lines and the operator, started as a person would outside a pod."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

from bench.operator.client import Client
from bench.operator.cluster import NAMESPACE, SYSTEM, Cluster
from bench.operator.observer import Child
from bench.operator.sides import Controllers, names
from tests.plugins.api_server import CRD
from tests.plugins.programs import ROOT, Program, free_ports

_LINES = f"/apis/treering.dev/v1alpha1/namespaces/{NAMESPACE}/incrementaltrains"
_USER = "treering-operator"


@dataclass
class Treering:
    """Each line is an IncrementalTrain, each event an increment that is appended to one."""

    flags: tuple[str, ...] = ()
    name: str = "treering"
    users: tuple[str, ...] = (_USER,)
    children: tuple[Child, ...] = (
        Child(
            "job",
            "/apis/batch/v1/jobs",
            "treering.dev/line",
            lambda metadata: key(metadata["labels"]["treering.dev/line"], metadata["labels"]["treering.dev/number"]),
        ),
    )
    _increments: Counter[int] = field(default_factory=Counter)

    @property
    def versions(self) -> Mapping[str, str]:
        """The tree's commit and what the operator stands on."""
        done = subprocess.run(
            ["git", "describe", "--always", "--dirty"], cwd=ROOT, check=True, capture_output=True, text=True
        )
        return {"treering": done.stdout.strip(), **{name: version(name) for name in ("kopf", "kubernetes", "aiohttp")}}

    def definitions(self) -> list[Path]:
        """The CRD."""
        return [CRD]

    async def install(self, client: Client) -> None:
        """Nothing else."""

    async def start(self, cluster: Cluster, client: Client) -> Controllers:  # noqa: ARG002 - the peer needs it
        """Start the operator."""
        return Controllers((self.restart_main(cluster),))

    def restart_main(self, cluster: Cluster) -> Program:
        """The operator with its defaults, leader election too; named alike each time, as a pod's container is."""
        (port,) = free_ports(1)
        command: list[str | Path] = [
            *(sys.executable, "-m", "treering_operator", "--kubeconfig", cluster.kubeconfig(_USER)),
            *("--trainer-image", "bench.invalid/trainer:1", "--listen", f"127.0.0.1:{port}"),
            *("--lease-namespace", SYSTEM, "--identity", "bench"),
            *self.flags,
        ]
        return Program.start("treering-operator", command, cluster.folder)

    async def add(self, client: Client, number: int) -> str:
        """Make a line with its first increment."""
        await client.create(_LINES, line(names(number)))
        self._increments[number] = 1
        return key(names(number), 1)

    async def change(self, client: Client, number: int) -> str:
        """Append an increment."""
        self._increments[number] += 1
        place = self._increments[number]
        append = [{"op": "add", "path": "/spec/increments/-", "value": increment(names(number), place)}]
        await client.patch(f"{_LINES}/{names(number)}", append)
        return key(names(number), place)

    async def at_rest(self, client: Client) -> int:
        """Rounds that are published in lines that have nothing left to learn."""
        lines = (await client.get(_LINES))["items"]
        return sum(_published(each) for each in lines)


def line(name: str) -> dict[str, Any]:
    """A line as short as a user would write it."""
    return {
        "apiVersion": "treering.dev/v1alpha1",
        "kind": "IncrementalTrain",
        "metadata": {"name": name},
        "spec": {
            "model": {"base": "s3://models/yolov8n.pt"},
            "store": {"uri": f"s3://lines/{name}"},
            "increments": [increment(name, 1)],
        },
    }


def increment(name: str, number: int) -> dict[str, str]:
    """A delivery; the fake node's pods know its name."""
    return {"name": f"delivery-{number}", "uri": f"s3://deliveries/{name}/{number}"}


def key(name: str, number: int | str) -> str:
    """Names the round of a line."""
    return f"{name}/{number}"


def _published(resource: Mapping[str, Any]) -> int:
    status = resource.get("status", {})
    settled = (status.get("mirror") or {}).get("settled", 0)
    up_to_date = settled == len(resource["spec"]["increments"]) and status.get("state") == "UpToDate"
    return int(settled) if up_to_date else 0
