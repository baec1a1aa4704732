"""Helm and the chart: what the chart's tests and the cluster tests render and install with.

Registered in `tests/conftest.py`. The programs are the ones that scripts/cluster_tools.sh builds.
"""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.plugins.programs import ROOT, cluster_tools

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
        return [one for one in yaml.safe_load_all(_rendered(self, json.dumps(values or {}), options)) if one]

    def refusal(self, values: Object) -> str:
        """What Helm says to values that it must refuse."""
        done = self.run("template", RELEASE, str(CHART), "--namespace", NAMESPACE, values=values)
        assert done.returncode != 0, "these values were taken"
        return done.stderr


@cache
def _rendered(helm: Helm, values: str, options: tuple[str, ...]) -> str:
    command = ("template", RELEASE, str(CHART), "--namespace", NAMESPACE, *options)
    done = helm.run(*command, values=json.loads(values))
    assert done.returncode == 0, done.stderr
    return done.stdout


def of_kind(objects: list[Object], kind: str, part: str = "") -> list[Object]:
    """Objects of a kind whose name contains `part`."""
    return [one for one in objects if one["kind"] == kind and part in one["metadata"]["name"]]


@pytest.fixture(scope="session")
def helm() -> Helm:
    """Helm on our chart."""
    return Helm(cluster_tools("helm") / "helm")


@pytest.fixture(scope="session")
def kubectl_program() -> Path:
    """kubectl, for what needs no cluster."""
    return cluster_tools("kubectl") / "kubectl"
