"""What the pages say against what the code does: words of a status, exit codes, rights, names, links."""

from __future__ import annotations

import ast
import re
import subprocess
from pathlib import Path
from typing import get_args

import pytest

from tests.plugins.helm import Helm, of_kind
from treering_api import ConditionType, ExitCode, Reason
from treering_api.status import State
from treering_operator.cluster.permissions import REQUIRED
from treering_operator.decide import notices

ROOT = Path(__file__).parents[3]
KUBERNETES = ROOT / "docs" / "kubernetes"
TROUBLES = (KUBERNETES / "troubleshooting.md").read_text()
PAGES = subprocess.run(
    ["git", "ls-files", "*.md"], cwd=ROOT, capture_output=True, text=True, check=True
).stdout.splitlines()


def section(title: str) -> str:
    return TROUBLES.partition(f"## {title}\n")[2].partition("\n## ")[0]


def first_cells(text: str) -> set[str]:
    """Single words of the first column of a table."""
    rows = [row.split("|")[1] for row in text.splitlines() if row.startswith("| ")]
    return {word for cell in rows for word in re.findall(r"\w+", cell)}


def test_troubleshooting__has_every_state() -> None:
    assert first_cells(section("By state")) == {"STATE", *get_args(State)}


def test_troubleshooting__has_every_condition_and_every_reason() -> None:
    assert first_cells(section("By condition")) == {"condition", *map(str, ConditionType)}
    told = set(re.findall(r"\w+", section("By condition") + section("By reason")))
    assert {str(reason) for reason in Reason} - told == set()


def test_troubleshooting__has_every_exit_code() -> None:
    codes = {int(word) for word in first_cells(section("By exit code of a pod")) if word.isdecimal()}
    assert codes == {*map(int, ExitCode), 137}


def test_troubleshooting__has_every_event_and_no_other() -> None:
    tree = ast.parse(Path(notices.__file__).read_text())
    words = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    reasons = {word for word in words if re.fullmatch(r"[A-Z][a-z]+([A-Z][a-z]+)*", word)} - {"Round"}
    assert first_cells(section("By Event")) == {"Event", *reasons}


def test_permissions__are_those_that_the_operator_asks_for() -> None:
    rows = re.findall(r"^\| `([a-z/]+)` \| ([a-z, ]+) \|", (KUBERNETES / "permissions.md").read_text(), re.MULTILINE)
    told = {resource: tuple(verbs.split(", ")) for resource, verbs in rows}
    assert told == {one.resource: one.verbs for one in REQUIRED if not one.lease}


def test_lease__is_called_what_the_chart_calls_it(helm: Helm) -> None:
    (deployment,) = of_kind(helm.render(), "Deployment")
    arguments = deployment["spec"]["template"]["spec"]["containers"][0]["args"]
    named = [name for page in KUBERNETES.glob("*.md") for name in re.findall(r"get lease (\S+)", page.read_text())]
    assert named
    assert {f"--lease-name={name}" for name in named} <= set(arguments)


def test_alerts__each_has_its_runbook(helm: Helm) -> None:
    (rule,) = of_kind(helm.render({"prometheusRule": {"enabled": True}}), "PrometheusRule")
    alerts = {one["alert"] for group in rule["spec"]["groups"] for one in group["rules"]}
    assert set(re.findall(r"^## (\w+)$", (KUBERNETES / "alerts.md").read_text(), re.MULTILINE)) == alerts


@pytest.mark.parametrize("page", PAGES)
def test_links__lead_somewhere(page: str) -> None:
    text = re.sub(r"```.*?```", "", (ROOT / page).read_text(), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", text):
        if not target.startswith(("http://", "https://", "mailto:")):
            assert (ROOT / page).parent.joinpath(target).exists(), f"{page}: {target}"
