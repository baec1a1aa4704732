"""The model's classes, of a line that is taken over as its store has it."""

from __future__ import annotations

from tests.unit.operator.decide.world import World, line_resource
from treering_api import Lineage


def grown(**spec: object) -> Lineage:
    world = World(line_resource(**spec))
    world.grow()
    return world.lineage


def test_classes__of_a_line_taken_over_by_an_outdated_plan() -> None:
    world = World(lineage=grown(increments=[{"name": "other", "uri": "s3://deliveries/other"}]))
    world.step()
    world.run_all()
    model = world.step().status.model
    assert model is not None
    assert (model.classes, model.class_count) == (("ace", "king"), 2)


def test_classes__of_a_line_taken_over_by_a_look() -> None:
    world = World(line_resource(increments=[], discover={"uri": "s3://drop/cards"}), lineage=grown())
    world.step()
    world.run_all()
    model = world.step().status.model
    assert model is not None
    assert (model.classes, model.class_count) == (("ace", "king"), 2)


def test_classes__that_did_not_fit_are_counted() -> None:
    world = World()
    world.step()
    (job,) = world.going()
    _, message = world.work(world.plans[job.name], "publish")
    world.end_pod(world.start(job.name), 0, message.replace('"classCount":2', '"classCount":400'))
    world.end_job(job.name, "Complete")
    model = world.step().status.model
    assert model is not None
    assert (model.classes, model.class_count) == (("ace", "king"), 400)
