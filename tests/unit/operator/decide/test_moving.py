"""A line whose store is changed: what lies in the other folder counts."""

from __future__ import annotations

from dataclasses import replace

from tests.unit.operator.decide.world import World, line_resource
from treering_api import Lineage, RoundPlan
from treering_operator.actions import DeleteJob, EnsureJob

ELSEWHERE = {"uri": "s3://lines/moved"}


def grown() -> World:
    """A line that is up to date."""
    world = World()
    world.grow()
    return world


def test_moving__up_to_date_line_is_learned_anew_in_an_empty_store() -> None:
    world = grown()
    assert world.status().mirror_store == "s3://lines/cards"
    world.lineage, world.published = Lineage(line="cards"), []
    world.edit(store=ELSEWHERE)
    decision = world.step()
    (action,) = (action for action in decision.actions if isinstance(action, EnsureJob))
    assert isinstance(action.plan, RoundPlan)
    assert (action.plan.round, action.plan.spec.store.uri) == (1, "s3://lines/moved")
    status = decision.status
    assert (status.settled, status.learned, status.skipped, status.model, status.rounds) == ((), (), (), None, ())
    assert (status.mirror, status.mirror_store, status.gpu_seconds) == (None, "", 200.0)
    (told,) = (notice for notice in decision.notices if notice.reason == "Moved")
    assert told.message.startswith("The line moved from s3://lines/cards to s3://lines/moved")
    world.grow()
    assert (world.status().learned, world.status().mirror_store) == (("w47", "w48"), "s3://lines/moved")
    assert world.ended == ["published"] * 4


def test_moving__truth_of_a_copied_folder_is_adopted() -> None:
    world = grown()
    world.edit(store=ELSEWHERE)
    status = world.grow().status
    assert (status.state, status.learned, status.mirror_store) == ("UpToDate", ("w47", "w48"), "s3://lines/moved")
    assert world.published == ["w47", "w48"]


def test_moving__slash_at_the_end_is_no_move() -> None:
    world = grown()
    world.edit(store={"uri": "s3://lines/cards/"})
    assert world.quiet().status.learned == ("w47", "w48")
    assert "Moved" not in world.told.values()


def test_moving__running_round_of_the_store_before_is_stopped() -> None:
    world = World()
    world.step()
    (job,) = world.going()
    world.start(job.name)
    world.quiet()
    world.edit(store=ELSEWHERE)
    assert DeleteJob(job.name, job.uid) in world.step().actions
    world.grow()
    assert world.status().learned == ("w47", "w48")


def test_moving__round_that_ended_in_the_store_before_only_costs() -> None:
    world = World()
    world.step()
    (job,) = world.going()
    world.run(job.name)
    world.lineage = Lineage(line="cards")
    world.edit(store=ELSEWHERE)
    decision = world.step()
    assert (decision.status.learned, decision.gpu_seconds, decision.ended) == ((), 100.0, ())


def test_moving__unreadable_spec_keeps_what_is_known() -> None:
    world = grown()
    world.edit(retries="many", store=ELSEWHERE)
    assert world.quiet().status.mirror_store == "s3://lines/cards"
    world.edit(retries=None, store=line_resource()["spec"]["store"])
    assert world.quiet().status.learned == ("w47", "w48")


def test_moving__jobs_that_say_no_store_are_of_the_line() -> None:
    world = World()
    world.step()
    (job,) = world.going()
    world.jobs[job.name] = replace(job, store="")
    world.run(job.name)
    assert world.step().status.learned == ("w47",)
