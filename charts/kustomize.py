"""Writes deploy/kustomize/base/operator.yaml: what Helm makes of the chart's defaults, without Helm's own marks.

`make kustomize` calls it, because it runs Helm, which `make generate` must not need; a test compares.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[1]
BASE = Path("deploy/kustomize/base/operator.yaml")
_NOTE = "# Written by `make kustomize` from charts/treering; edit there.\n"
_MARKS = ("helm.sh/chart", "app.kubernetes.io/managed-by")


def operator_manifest(helm: Path) -> str:
    """The objects of release `treering` in namespace treering-system, the CRD and the test's pod left out."""
    command = [str(helm), "template", "treering", str(ROOT / "charts" / "treering"), "--namespace", "treering-system"]
    command += ["--set", "crds.enabled=false,tests.enabled=false"]
    rendered = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    objects = [_unmarked(one) for one in yaml.safe_load_all(rendered) if one]
    return _NOTE + yaml.safe_dump_all(objects, sort_keys=False, width=110)


def main() -> int:
    """Write it, with the Helm that the tests use."""
    tools = subprocess.run([str(ROOT / "scripts" / "cluster_tools.sh"), "helm"], check=True, stdout=subprocess.PIPE)
    (ROOT / BASE).write_text(operator_manifest(Path(tools.stdout.decode().strip()) / "helm"), encoding="utf-8")
    sys.stdout.write(f"{BASE}\n")
    return 0


def _unmarked(node: Any) -> Any:
    if isinstance(node, dict):
        return {key: _unmarked(value) for key, value in node.items() if key not in _MARKS}
    return [_unmarked(value) for value in node] if isinstance(node, list) else node


if __name__ == "__main__":
    raise SystemExit(main())
