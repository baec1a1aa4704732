from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.plugins.helm import EVERYTHING, Helm, of_kind
from tests.plugins.programs import system_program

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def rules(helm: Helm, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The chart's rules with its default thresholds, as a file of Prometheus."""
    (found,) = of_kind(helm.render(EVERYTHING), "PrometheusRule")
    path = tmp_path_factory.mktemp("rules") / "rules.yaml"
    path.write_text(yaml.safe_dump(found["spec"]))
    return path


def promtool(*arguments: str) -> None:
    done = subprocess.run([system_program("promtool"), *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_rules__are_valid(rules: Path) -> None:
    promtool("check", "rules", "--lint=all", "--lint-fatal", str(rules))


def test_alerts__fire_when_they_should_and_only_then(rules: Path) -> None:
    shutil.copy(HERE / "alerts_test.yaml", rules.parent)
    promtool("test", "rules", str(rules.parent / "alerts_test.yaml"))


def test_alerts__each_is_played(rules: Path) -> None:
    played: list[dict[str, Any]] = [
        test
        for scene in yaml.safe_load((HERE / "alerts_test.yaml").read_text())["tests"]
        for test in scene["alert_rule_test"]
        if test["exp_alerts"]
    ]
    names = {alert["alert"] for group in yaml.safe_load(rules.read_text())["groups"] for alert in group["rules"]}
    assert {test["alertname"] for test in played} == names


def test_thresholds__are_the_values(helm: Helm) -> None:
    rule = {"enabled": True, "maxAge": "1d12h", "stuckAfter": "2h", "maxForgetting": 0.25, "maxQueueDepth": 7}
    (found,) = of_kind(helm.render({"prometheusRule": rule}), "PrometheusRule")
    expressions = {alert["alert"]: alert["expr"] for group in found["spec"]["groups"] for alert in group["rules"]}
    assert "[1d12h]" in expressions["TreeringNoPublishedRound"]
    assert "< 129600" in expressions["TreeringNoPublishedRound"]
    assert "[2h]" in expressions["TreeringTrainingStuck"]
    assert expressions["TreeringForgettingHigh"].endswith("> 0.25")
    assert expressions["TreeringQueueDeep"].endswith("> 7")
