from __future__ import annotations

import subprocess
from pathlib import Path

import yaml

from charts.kustomize import BASE, ROOT, operator_manifest
from tests.plugins.helm import Helm, Object, of_kind

KUSTOMIZE = ROOT / "deploy" / "kustomize"


def built(kubectl: Path, folder: Path) -> list[Object]:
    done = subprocess.run([str(kubectl), "kustomize", str(folder)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return [one for one in yaml.safe_load_all(done.stdout) if one]


def test_base__is_what_the_chart_says_today(helm: Helm) -> None:
    assert (ROOT / BASE).read_text() == operator_manifest(helm.program), "run `make kustomize`"


def test_base__holds_everything_of_a_release(helm: Helm, kubectl_program: Path) -> None:
    def names(objects: list[Object]) -> set[tuple[str, str]]:
        return {(one["kind"], one["metadata"]["name"]) for one in objects}

    release = names(helm.render({"tests": {"enabled": False}}))
    assert names(built(kubectl_program, KUSTOMIZE / "base")) == release | {("Namespace", "treering-system")}


def test_overlay__changes_what_it_says_and_nothing_else(kubectl_program: Path) -> None:
    base = built(kubectl_program, KUSTOMIZE / "base")
    overlay = built(kubectl_program, KUSTOMIZE / "overlays" / "example")
    (before,), (after,) = of_kind(base, "Deployment"), of_kind(overlay, "Deployment")
    container = after["spec"]["template"]["spec"]["containers"][0]
    assert after["spec"]["replicas"] == 1
    assert container["image"] == "registry.example/treering-operator:0.1.0"
    plain = before["spec"]["template"]["spec"]["containers"][0]["args"]
    assert [argument for argument in container["args"] if argument not in plain] == [
        "--trainer-image=registry.example/treering-trainer:0.1.0",
        "--verbose",
    ]
    kinds = {"Deployment", "PodDisruptionBudget"}
    assert [one for one in overlay if one["kind"] not in kinds] == [one for one in base if one["kind"] not in kinds]
    assert not of_kind(overlay, "PodDisruptionBudget")
