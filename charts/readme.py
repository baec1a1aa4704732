"""The chart's README, written from values.yaml and the chart's own rules. Called by `charts.generate`."""

from __future__ import annotations

import json
from typing import Any

from charts.values import Field

_HEAD = """\
<!-- Written by `make generate` from charts/readme.py and values.yaml; edit there. -->
# The chart `treering`

{description}.

    helm install treering charts/treering --namespace treering-system --create-namespace \\
      --set image.repository=REGISTRY/treering-operator --set trainer.image.repository=REGISTRY/treering-trainer
    helm test treering --namespace treering-system

Kubernetes {kube_version}. Two replicas (one acts), restricted pods, and rights to lines, their Jobs, ConfigMaps,
headless Services, NetworkPolicies and Events alone: no Secret, no wildcard (docs/kubernetes/permissions.md).

- **Upgrade**: `helm upgrade` brings the new CRD with it (`crds.enabled`): it is a template, not in Helm's `crds/`.
- **Uninstall**: the CRD and every line stay (`crds.keep`); take them away with
  `kubectl delete crd incrementaltrains.treering.dev`. What lies in the stores is never touched.
- **Some namespaces only**: `--set 'namespaces={{team-a,team-b}}'` makes Roles there in place of a ClusterRole. The CRD
  and the aggregated roles (`rbac.aggregate`) are still cluster-wide: an administrator installs them once, and the
  team's releases set `crds.enabled=false,rbac.aggregate=false`.
- **Watching it**: with Prometheus Operator and Grafana's sidecar,
  `--set serviceMonitor.enabled=true,podMonitor.enabled=true,prometheusRule.enabled=true,dashboards.enabled=true`.
  What each alert means: docs/kubernetes/alerts.md.

## Values

A field that is not in this list is refused, and so is a value outside its bounds.

| field | default | meaning |
|---|---|---|
"""
_BOUNDS = (
    ("enum", "one of {}"),
    ("minimum", "at least {}"),
    ("maximum", "at most {}"),
)


def readme(fields: tuple[Field, ...], chart: dict[str, Any]) -> str:
    """The page's text."""
    head = _HEAD.format(description=chart["description"], kube_version=chart["kubeVersion"].removesuffix("-0"))
    return head + "".join(_row(field) for field in fields)


def _row(field: Field) -> str:
    default = "" if field.is_block else f"`{json.dumps(field.default)}`"
    name = f"**`{'.'.join(field.path)}`**" if field.is_block else f"`{'.'.join(field.path)}`"
    return f"| {name} | {default} | {field.description}{_limits(field)} |\n".replace("|  |", "| |")


def _limits(field: Field) -> str:
    bounds = field.bounds or {}
    found = [
        text.format(", ".join(bounds[key]) if key == "enum" else bounds[key]) for key, text in _BOUNDS if key in bounds
    ]
    return f" ({', '.join(found)})" if found else ""
