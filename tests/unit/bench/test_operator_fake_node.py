"""The fake node's Stages are Go templates, run by KWOK alone; here, that they are what KWOK can read."""

import yaml

from bench.operator import fake_node
from bench.operator.treering import increment, line
from treering_api.load import read


def test_configuration__stages_with_templates() -> None:
    options, *stages = yaml.safe_load_all(fake_node.configuration(2.5))
    assert options["kind"] == "KwokConfiguration"
    assert [stage["metadata"]["name"] for stage in stages] == ["ready", "ended", "gone"]
    assert stages[1]["spec"]["delay"] == {"durationMilliseconds": 2500}


def test_line__is_a_valid_resource() -> None:
    resource = read(line("line-1"), "here")
    assert resource.spec.increments[0].name == increment("line-1", 1)["name"]
