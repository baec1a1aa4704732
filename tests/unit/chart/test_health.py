"""What Argo CD and Flux show of a line in every state that the operator itself can bring it into."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import get_args

import pytest

from tests.plugins.argocd import argo_health
from tests.plugins.flux import flux_health
from tests.unit.operator.decide.world import World, line_resource
from treering_api.status import State


def begun(**spec: object) -> World:
    world = World(line_resource(**spec))
    world.step()
    return world


def training() -> World:
    world = begun()
    world.start(world.going()[0].name)
    world.quiet()
    return world


def up_to_date() -> World:
    world = World()
    world.grow()
    return world


def edited() -> World:
    world = up_to_date()
    world.append("w49")  # the operator has not seen it yet
    return world


def suspended() -> World:
    world = training()
    world.edit(suspend=True)
    world.quiet()
    return world


def resumed() -> World:
    world = suspended()
    world.edit(suspend=False)
    world.quiet()
    return world


def stalled() -> World:
    world = begun()
    world.run_all("bad data")
    world.quiet()
    return world


def mended() -> World:
    world = stalled()
    world.ask_again()
    world.quiet()
    return world


def held() -> World:
    world = World(line_resource(evaluation={"gate": {"onReject": "hold"}}))
    world.step()
    world.run_all("publish")
    world.quiet()
    world.run_all("reject")
    world.quiet()
    return world


def retrying() -> World:
    world = begun()
    pod = world.start(world.going()[0].name)
    world.end_pod(pod, 75)
    world.quiet()
    return world


def rolled_back() -> World:
    world = up_to_date()
    world.edit(rollbackTo=1)
    world.grow()
    return world


def waiting() -> World:
    world = World(line_resource(discover={"uri": "s3://deliveries", "minImages": 500}))
    world.deliver("w49")
    world.grow()
    return world


SCENES: dict[str, tuple[Callable[[], World], str, str, str]] = {
    "begun": (begun, "Pending", "Progressing", "InProgress"),
    "training": (training, "Training", "Progressing", "InProgress"),
    "queued": (lambda: quiet(begun(queue="vision")), "Queued", "Progressing", "InProgress"),
    "retrying": (retrying, "Retrying", "Progressing", "InProgress"),
    "edited": (edited, "UpToDate", "Progressing", "InProgress"),
    "resumed": (resumed, "Pending", "Progressing", "InProgress"),
    "mended": (mended, "Pending", "Progressing", "InProgress"),
    "up-to-date": (up_to_date, "UpToDate", "Healthy", "Current"),
    "waiting": (waiting, "Waiting", "Healthy", "Current"),
    "rolled-back": (rolled_back, "RolledBack", "Healthy", "Current"),
    "suspended": (suspended, "Suspended", "Suspended", "Current"),
    "stalled": (stalled, "Stalled", "Degraded", "Failed"),
    "held": (held, "Held", "Degraded", "Failed"),
}


def quiet(world: World) -> World:
    world.quiet()
    return world


@pytest.mark.parametrize(("make", "state", "argo", "flux"), SCENES.values(), ids=list(SCENES))
def test_health__of_the_operators_own_status(make: Callable[[], World], state: str, argo: str, flux: str) -> None:
    resource = copy.deepcopy(make().resource)
    assert resource["status"]["state"] == state, resource["status"]["message"]
    shown = argo_health(resource)
    assert (shown["status"], flux_health(resource)) == (argo, flux)
    assert shown["message"]


def test_scenes__are_all_states() -> None:
    assert {state for _, state, _, _ in SCENES.values()} == set(get_args(State))
