"""The fake node's Stages are Go templates, run by KWOK alone; here, that they are what KWOK can read."""

from datetime import UTC, datetime

import yaml

from bench.operator import fake_node, mounts
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


def test_configuration__a_pod_with_a_config_map_is_not_kwoks_to_start() -> None:
    _, ready, *_ = yaml.safe_load_all(fake_node.configuration(1))
    keys = [each["key"] for each in ready["spec"]["selector"]["matchExpressions"] if each["operator"] == "DoesNotExist"]
    assert ".spec.volumes.[].configMap.name" in keys


def test_started__what_the_ended_stage_reads() -> None:
    status = mounts.started(datetime(2026, 11, 24, tzinfo=UTC))
    assert (status["phase"], status["startTime"]) == ("Running", "2026-11-24T00:00:00Z")
