"""Helm and the chart: what the chart's tests and the cluster tests render and install with.

Registered in `tests/conftest.py`. The programs are the ones that scripts/cluster_tools.sh builds.
"""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
CHART = ROOT / "charts" / "treering"
RELEASE = "treering"
NAMESPACE = "treering-system"
EVERYTHING = {
    "serviceMonitor": {"enabled": True},
    "podMonitor": {"enabled": True},
    "prometheusRule": {"enabled": True},
    "dashboards": {"enabled": True},
}
"""Values that switch on what is off by default."""
Object = dict[str, Any]


@dataclass(frozen=True)
class Helm:
    """Helm on our chart."""

    program: Path

    def run(self, *arguments: str, values: Object | None = None) -> subprocess.CompletedProcess[str]:
        """Any command; values go in by standard input."""
        extra = ("--values", "-") if values is not None else ()
        return subprocess.run(
            [str(self.program), *arguments, *extra],
            input=json.dumps(values) if values is not None else None,
            capture_output=True,
            text=True,
            check=False,
        )

    def render(self, values: Object | None = None, *options: str) -> list[Object]:
        """The objects of the chart with these values."""
        done = self.run("template", RELEASE, str(CHART), "--namespace", NAMESPACE, *options, values=values or {})
        assert done.returncode == 0, done.stderr
        return [one for one in yaml.safe_load_all(done.stdout) if one]

    def refusal(self, values: Object) -> str:
        """What Helm says to values that it must refuse."""
        done = self.run("template", RELEASE, str(CHART), "--namespace", NAMESPACE, values=values)
        assert done.returncode != 0, "these values were taken"
        return done.stderr


def of_kind(objects: list[Object], kind: str, part: str = "") -> list[Object]:
    """Objects of a kind whose name contains `part`."""
    return [one for one in objects if one["kind"] == kind and part in one["metadata"]["name"]]


def cluster_tool(name: str) -> Path:
    """Where a program of the test clusters lies; built if it is not there yet."""
    done = subprocess.run(
        [str(ROOT / "scripts" / "cluster_tools.sh"), name], check=True, stdout=subprocess.PIPE, text=True
    )
    return Path(done.stdout.strip()) / name


@pytest.fixture(scope="session")
def helm() -> Helm:
    """Helm on our chart."""
    return Helm(cluster_tool("helm"))


@pytest.fixture(scope="session")
def kubectl_program() -> Path:
    """kubectl, for what needs no cluster."""
    return cluster_tool("kubectl")
