"""The patch for Argo CD's ConfigMap, made of the Lua files that the tests run. Called by `charts.generate`."""

from __future__ import annotations

from pathlib import Path

import yaml

from treering_api.resource import GROUP, KIND

ACTIONS = ("suspend", "resume", "retry")
_HEAD = """\
# Written by `make generate` from deploy/argocd/resource_customizations; edit there.
# kubectl -n argocd patch configmap argocd-cm --type merge --patch-file deploy/argocd/argocd-cm.yaml
"""


class _Dumper(yaml.SafeDumper):
    """Texts of several lines as literal blocks, so that a person can read the Lua."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _text)


def argocd_patch(folder: Path) -> str:
    """A ConfigMap that holds the health check and the actions, in the keys that Argo CD reads."""
    kind = folder / GROUP / KIND
    actions = {
        "discovery.lua": (kind / "actions" / "discovery.lua").read_text(encoding="utf-8"),
        "definitions": [
            {"name": name, "action.lua": (kind / "actions" / name / "action.lua").read_text(encoding="utf-8")}
            for name in ACTIONS
        ],
    }
    data = {
        f"resource.customizations.health.{GROUP}_{KIND}": (kind / "health.lua").read_text(encoding="utf-8"),
        f"resource.customizations.actions.{GROUP}_{KIND}": _yaml(actions),
    }
    metadata = {
        "name": "argocd-cm",
        "labels": {"app.kubernetes.io/name": "argocd-cm", "app.kubernetes.io/part-of": "argocd"},
    }
    return _HEAD + _yaml({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data})


def _yaml(data: object) -> str:
    text: str = yaml.dump(data, Dumper=_Dumper, sort_keys=False, width=120)
    return text
