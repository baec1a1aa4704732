"""Where operator and trainer meet without importing each other: the pod's command line and environment."""

from __future__ import annotations

from typing import Any

import pytest
import typer

from tests.unit.operator.resources.cases import CASES
from treering_trainer.cli.app import app
from treering_trainer.engine.crew import crew_of


def container(name: str) -> dict[str, Any]:
    (only,) = CASES[name].children().job["spec"]["template"]["spec"]["containers"]
    return dict(only)


@pytest.mark.parametrize("name", ["round", "own-store", "nodes", "rollback", "discovery"])
def test_command__is_one_that_the_trainer_knows(name: str) -> None:
    program, verb, *words = container(name)["command"]
    group = typer.main.get_group(app)
    command = group.commands[verb]
    with command.context_class(command) as context:
        given, rest, _ = command.make_parser(context).parse_args(words)
    assert (program, rest) == ("treering", [])
    assert given["result"] == "/dev/termination-log"


def test_environment__of_nodes_makes_a_crew() -> None:
    env = {item["name"]: item.get("value", "3") for item in container("nodes")["env"]}
    crew = crew_of(8, env)
    assert (crew.count, crew.node, crew.port) == (32, 3, 29500)
    assert crew.host == "7-segments-r1-0a1b2c3d-0.r7-segments-r1-0a1b2c3d"
