"""Writes the chart's generated files: `python -m charts.generate`, or with `--check` only says whether they are fresh.

`make generate`, CI and a test call it, after `treering_api.generate`, whose CRD it puts into the chart.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import yaml

from charts.argocd import argocd_patch
from charts.dashboards import dashboards
from charts.readme import readme
from charts.values import read_fields, schema_of

ROOT = Path(__file__).resolve().parents[1]
CHART = Path("charts/treering")
_CRD = Path("crds/treering.dev_incrementaltrains.yaml")
_CRD_HEAD = """\
{{- /* Written by `make generate` from crds/treering.dev_incrementaltrains.yaml; a test compares them. */ -}}
{{- if .Values.crds.enabled }}
"""
_CRD_METADATA = """\
metadata:
  labels:
    {{- include "treering.labels" . | nindent 4 }}
  {{- if .Values.crds.keep }}
  annotations:
    helm.sh/resource-policy: keep
  {{- end }}
"""


def rendered(root: Path = ROOT) -> dict[str, str]:
    """Every generated file: path from the repository's root, and its text."""
    fields = read_fields((root / CHART / "values.yaml").read_text(encoding="utf-8"))
    chart = yaml.safe_load((root / CHART / "Chart.yaml").read_text(encoding="utf-8"))
    files = {
        f"{CHART}/values.schema.json": _json(schema_of(fields, "Values of the chart treering")),
        f"{CHART}/README.md": readme(fields, chart),
        f"{CHART}/templates/crd.yaml": crd_template((root / _CRD).read_text(encoding="utf-8")),
        "deploy/kustomize/base/crd.yaml": (root / _CRD).read_text(encoding="utf-8"),
        "deploy/argocd/argocd-cm.yaml": argocd_patch(root / "deploy/argocd/resource_customizations"),
    }
    return files | {f"{CHART}/dashboards/{name}.json": _json(board) for name, board in dashboards().items()}


def crd_template(crd: str) -> str:
    """The CRD as a template: the same text, with the release's labels and Helm's note to keep it."""
    body = "".join(line for line in crd.splitlines(keepends=True) if not line.startswith("#"))
    assert "{{" not in body, "the CRD's text would be taken for a template"
    assert body.count("\nmetadata:\n") == 1
    return _CRD_HEAD + body.replace("metadata:\n", _CRD_METADATA, 1) + "{{- end }}\n"


def stale(root: Path = ROOT) -> list[str]:
    """Paths of the generated files that are missing or differ from what would be written."""
    return [path for path, text in rendered(root).items() if _read(root / path) != text]


def main(arguments: Sequence[str] | None = None) -> int:
    """Write, or check; returns the process's exit code."""
    parser = argparse.ArgumentParser(prog="python -m charts.generate", description="Write the chart's generated files.")
    parser.add_argument("--check", action="store_true", help="write nothing; fail when a file is not fresh")
    if parser.parse_args(arguments).check:
        old = stale()
        if old:
            sys.stderr.write(f"Not fresh: {', '.join(old)}. Run `make generate` and commit what it writes.\n")
        return 1 if old else 0
    for path, text in rendered().items():
        (ROOT / path).parent.mkdir(parents=True, exist_ok=True)
        (ROOT / path).write_text(text, encoding="utf-8")
    return 0


def _json(data: object) -> str:
    return json.dumps(data, indent=2, ensure_ascii=False) + "\n"


def _read(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.is_file() else None


if __name__ == "__main__":
    raise SystemExit(main())
