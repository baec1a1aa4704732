"""Every manifest that people copy from: lines as the API knows them, names that fit each other."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from charts.generate import ROOT
from treering_api.load import parse

EXAMPLES = sorted((ROOT / "examples" / "kubernetes").glob("*.yaml"))
KUEUE = ROOT / "deploy" / "kueue" / "queue.yaml"


def documents(path: Path) -> list[dict[str, Any]]:
    return [one for one in yaml.safe_load_all(path.read_text()) if one]


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_example__is_a_line_without_mistakes(path: Path) -> None:
    lines = [one for one in documents(path) if one["kind"] == "IncrementalTrain"]
    assert lines
    for line in lines:
        assert parse(json.dumps(line), path.name).metadata.name == line["metadata"]["name"]


def test_examples__have_names_of_their_own() -> None:
    names = [one["metadata"]["name"] for path in EXAMPLES for one in documents(path)]
    assert len(set(names)) == len(names)


def test_examples__show_every_way() -> None:
    text = "".join(path.read_text() for path in EXAMPLES)
    for field in ("increments:", "discover:", "nodes: 2", "gpus: 4", "queue:", "cacheVolume:", "onReject:"):
        assert field in text, field


def test_kueue__names_fit_each_other_and_the_line() -> None:
    kinds = {one["kind"]: one for one in documents(KUEUE)}
    assert set(kinds) == {"ResourceFlavor", "ClusterQueue", "LocalQueue"}
    assert kinds["LocalQueue"]["spec"]["clusterQueue"] == kinds["ClusterQueue"]["metadata"]["name"]
    (group,) = kinds["ClusterQueue"]["spec"]["resourceGroups"]
    assert [flavor["name"] for flavor in group["flavors"]] == [kinds["ResourceFlavor"]["metadata"]["name"]]
    assert group["coveredResources"] == [resource["name"] for resource in group["flavors"][0]["resources"]]
    (line,) = documents(ROOT / "examples" / "kubernetes" / "queue.yaml")
    queue = kinds["LocalQueue"]["metadata"]
    assert (line["spec"]["queue"], line["metadata"]["namespace"]) == (queue["name"], queue["namespace"])
