from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import yaml
from jsonschema import Draft7Validator

from charts.generate import ROOT, main, stale
from charts.values import read_fields, schema_of
from tests.plugins.helm import CHART, Helm, Object


def test_generated_files__are_fresh() -> None:
    assert stale() == [], "run `make generate`"


def test_main__check_is_content_with_what_is_committed() -> None:
    assert main(["--check"]) == 0


def test_stale__names_what_was_edited_by_hand(tmp_path: Path) -> None:
    for part in ("charts/treering", "crds", "deploy"):
        shutil.copytree(ROOT / part, tmp_path / part, ignore=shutil.ignore_patterns("__pycache__"))
    assert stale(tmp_path) == []
    values = tmp_path / "charts/treering/values.yaml"
    values.write_text(values.read_text().replace("replicas: 2", "replicas: 3"))
    assert stale(tmp_path) == ["charts/treering/README.md"]
    lua = tmp_path / "deploy/argocd/resource_customizations/treering.dev/IncrementalTrain/health.lua"
    lua.write_text("return {}\n")
    assert stale(tmp_path) == ["charts/treering/README.md", "deploy/argocd/argocd-cm.yaml"]


def test_schema__accepts_the_defaults_and_refuses_nothing_else() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text())
    Draft7Validator.check_schema(schema)
    Draft7Validator(schema).validate(yaml.safe_load((CHART / "values.yaml").read_text()))


def test_schema__every_field_is_described_and_closed() -> None:
    def check(node: Object, where: str) -> None:
        assert len(node["description"]) > 5, where
        if node["type"] == "object":
            assert "additionalProperties" in node or where == ".global", where
        for name, child in node.get("properties", {}).items():
            check(child, f"{where}.{name}")

    check(json.loads((CHART / "values.schema.json").read_text()), "")


@pytest.mark.parametrize(
    ("values", "said"),
    [
        pytest.param({"replica": 3}, ("replica",), id="unknown-field"),
        pytest.param({"image": {"name": "x"}}, ("/image", "name"), id="unknown-field-below"),
        pytest.param({"replicas": 0}, ("/replicas", "minimum"), id="below"),
        pytest.param({"replicas": "2"}, ("/replicas", "integer"), id="text-for-a-number"),
        pytest.param({"image": {"pullPolicy": "always"}}, ("/image/pullPolicy", "Always"), id="not-in-the-list"),
        pytest.param({"namespaces": ["Team A"]}, ("/namespaces/0", "pattern"), id="bad-namespace"),
        pytest.param({"namespaces": ["a", "a"]}, ("/namespaces", "0 and 1"), id="namespace-twice"),
        pytest.param({"image": {"digest": "sha256:12"}}, ("/image/digest", "pattern"), id="bad-digest"),
        pytest.param({"prometheusRule": {"maxAge": "soon"}}, ("/prometheusRule/maxAge", "pattern"), id="bad-duration"),
        pytest.param({"operator": {"port": 80}}, ("/operator/port", "minimum"), id="privileged-port"),
        pytest.param({"fullnameOverride": "1st"}, ("/fullnameOverride", "pattern"), id="no-service-name"),
        pytest.param({"leaderElection": {"enabled": False}}, ("several operators", "replicas: 1"), id="two-leaders"),
        pytest.param({"podDisruptionBudget": {"minAvailable": 2}}, ("minAvailable", "drained"), id="undrainable"),
    ],
)
def test_values__are_refused_with_words(helm: Helm, values: Object, said: tuple[str, ...]) -> None:
    text = helm.refusal(values)
    assert [word for word in said if word not in text] == [], text


@pytest.mark.parametrize(
    ("text", "said"),
    [("a: 1\n", "a has no comment"), ("# A.\na: {}\n", "a is empty and has no @schema")],
    ids=["uncommented", "open"],
)
def test_read_fields__refuses_what_it_cannot_describe(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        read_fields(text)


def test_schema__follows_values() -> None:
    block = "# Block.\nblock:\n  # Number,\n  # in two lines.\n  # @schema {minimum: 1}\n  number: 2\n"
    text = block + "# List.\n# @schema {}\nlist: []\n"
    schema = schema_of(read_fields(text), "t")["properties"]
    assert schema["block"]["properties"]["number"] == {
        "type": "integer", "description": "Number, in two lines.", "minimum": 1,
    }  # fmt: skip
    assert schema["block"]["additionalProperties"] is False
    assert schema["list"] == {"type": "array", "description": "List."}


def test_readme__has_every_field() -> None:
    page = (CHART / "README.md").read_text()
    fields = read_fields((CHART / "values.yaml").read_text())
    assert [field.path for field in fields if f"`{'.'.join(field.path)}`" not in page] == []


def test_crd_template__is_the_generated_crd(helm: Helm) -> None:
    crd = yaml.safe_load((CHART.parents[1] / "crds" / "treering.dev_incrementaltrains.yaml").read_text())
    (shown,) = [one for one in helm.render() if one["kind"] == "CustomResourceDefinition"]
    assert shown["spec"] == crd["spec"]
    assert shown["metadata"]["name"] == crd["metadata"]["name"]
