"""Flux's health expressions, evaluated as its controllers do (fluxcd/pkg runtime/cel, RFC 0009)."""

from __future__ import annotations

from typing import Any

import cel
import yaml

from tests.plugins.programs import ROOT

FLUX = ROOT / "deploy" / "flux"
Object = dict[str, Any]


def documents(name: str, kind: str) -> list[Object]:
    return [one for one in yaml.safe_load_all((FLUX / name).read_text()) if one["kind"] == kind]


def flux_health(resource: Object) -> str:
    """As Flux finds it: the generation first, then inProgress, failed, current; none of them: in progress.

    The resource's fields are the variables: one that is absent is an error, which Flux shows as Unknown and asks again.
    """
    (check,) = documents("lines.yaml", "Kustomization")[0]["spec"]["healthCheckExprs"]
    assert (check["apiVersion"], check["kind"]) == (resource["apiVersion"], resource["kind"])
    status = resource.get("status", {})
    if status.get("observedGeneration", resource["metadata"]["generation"]) != resource["metadata"]["generation"]:
        return "InProgress"
    context = cel.Context(resource)
    for name, result in (("inProgress", "InProgress"), ("failed", "Failed"), ("current", "Current")):
        try:
            if cel.compile(check[name]).execute(context):
                return result
        except (RuntimeError, ValueError):
            return "Unknown"
    return "InProgress"
