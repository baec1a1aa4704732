"""A round's Job from the first reconcile to its end, as people read it in the status."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from tests.unit.operator.decide.world import START, World, begun, condition, line_resource
from treering_api import RoundPlan
from treering_operator.actions import DeleteJob, EnsureJob, SetSuspend


def test_decide__new_line() -> None:
    world = World()
    decision = world.step()
    (action,) = decision.actions
    assert isinstance(action, EnsureJob) and isinstance(action.plan, RoundPlan)
    assert (action.plan.round, [item.name for item in action.plan.increments]) == (1, ["w47"])
    status = decision.status
    assert (status.observed_generation, status.state, status.round, status.increment) == (1, "Pending", 1, "w47")
    assert (status.job, status.plan_digest, status.outstanding) == (action.name, action.plan.work_digest(), 2)
    assert condition(status, "Ready") == ("False", "NewIncrement")
    assert condition(status, "Reconciling") == ("True", "Progressing")
    assert condition(status, "Stalled") == ("False", "Healthy")
    assert condition(status, "Published") == ("False", "NoModel")
    assert [notice.reason for notice in decision.notices] == ["RoundStarted"]


def test_decide__nothing_to_do() -> None:
    world = World()
    decision = world.grow()
    assert (decision.actions, decision.notices, decision.again, decision.ended) == ((), (), None, ())
    assert decision.status == world.status()
    assert (decision.status.state, decision.status.message) == ("UpToDate", "Up to date: 2 increments learned.")
    assert condition(decision.status, "Ready") == ("True", "UpToDate")
    assert condition(decision.status, "Published")[0] == "True"


def test_decide__same_again_says_the_same() -> None:
    world, _ = begun()
    world.quiet()
    before = world.status()
    world.tick(minutes=1)
    assert world.decide().status == before


def test_decide__transition_times_move_with_the_status_alone() -> None:
    world, job = begun()
    world.tick(minutes=5)
    world.start(job.name)
    times = {item.type: item.last_transition_time for item in world.step().status.conditions}
    assert (times["Ready"], times["Training"]) == ("2026-11-24T00:00:00Z", "2026-11-24T00:05:00Z")


@pytest.mark.parametrize(
    ("trouble", "reason", "words"),
    [
        pytest.param(
            ("Unschedulable", "0/1 nodes are available: 1 Insufficient nvidia.com/gpu"),
            "Unschedulable",
            "finds no node: 0/1 nodes are available: 1 Insufficient nvidia.com/gpu.",
            id="no-gpu",
        ),
        pytest.param(
            ("ImagePullBackOff", "not found"),
            "NotStarting",
            "does not start (ImagePullBackOff): not found.",
            id="image",
        ),
        pytest.param(
            ("CreateContainerConfigError", 'secret "s3" not found'),
            "NotStarting",
            'does not start (CreateContainerConfigError): secret "s3" not found.',
            id="secret",
        ),
    ],
)
def test_decide__pod_does_not_start(trouble: tuple[str, str], reason: str, words: str) -> None:
    world, job = begun()
    world.start(job.name, running=False, phase="Pending", started=None, trouble=trouble)
    decision = world.step()
    assert decision.status.state == "Pending"
    assert condition(decision.status, "Training") == ("False", reason)
    assert decision.status.message == f"Round 1: its pod {words}"
    assert ("Unschedulable" in [notice.reason for notice in decision.notices]) == (reason == "Unschedulable")


def test_decide__queued() -> None:
    world, _ = begun(queue="gpus")
    decision = world.step()
    assert (decision.actions, decision.status.state) == ((), "Queued")
    assert "waits for the queue gpus" in decision.status.message
    assert condition(decision.status, "Training") == ("False", "Queued")


def test_decide__published_and_next_in_one_decision() -> None:
    world, job = begun()
    world.quiet()
    world.run(job.name)
    decision = world.step()
    (action,) = decision.actions
    assert isinstance(action, EnsureJob) and isinstance(action.plan, RoundPlan)
    assert (action.plan.round, action.plan.base.digest) == (2, f"{1:064x}")  # type: ignore[union-attr]
    status = decision.status
    assert (decision.ended, decision.gpu_seconds) == (("published",), 100.0)
    assert (status.learned, status.outstanding, status.round, status.increment) == (("w47",), 1, 2, "w48")
    assert (status.map50, status.forgetting, status.gpu_seconds, status.gpu_hours) == (0.9, 0.01, 100.0, "0.03")
    assert status.completion_time == "2026-11-24T01:00:00Z"
    assert status.model is not None and status.model.classes == ("ace", "king")
    assert [(item.round, item.verdict, item.increments) for item in status.rounds] == [(1, "published", ("w47",))]
    assert {notice.reason for notice in decision.notices} == {"RoundPublished", "RoundStarted"}


def test_decide__harvest_is_not_counted_twice() -> None:
    world, job = begun()
    world.run(job.name)
    world.grow()
    again = world.step()
    assert (again.ended, again.gpu_seconds, world.status().gpu_seconds) == ((), 0.0, 200.0)
    assert world.ended == ["published", "published"]


def test_decide__held_gpus_count_when_the_pod_knows_less() -> None:
    world, job = begun()
    world.jobs[job.name] = replace(job, gpus=4)
    world.run(job.name)
    assert world.step().gpu_seconds == 400.0


def test_decide__lost_status_write_is_made_good() -> None:
    world, job = begun()
    world.run(job.name)
    world.step(write=False)
    world.grow()
    assert (world.status().state, world.published) == ("UpToDate", ["w47", "w48"])


def test_decide__job_made_but_not_written_down_gets_its_plan() -> None:
    world = World()
    world.step(write=False)
    (action,) = world.step().actions
    assert isinstance(action, EnsureJob) and action.name in world.jobs
    assert world.step().actions == ()


def test_decide__job_made_but_not_written_down_and_outdated_by_an_edit() -> None:
    world = World()
    world.step(write=False)
    (job,) = world.going()
    world.edit(training={"patience": 7})
    decision = world.step()
    assert decision.actions == (DeleteJob(job.name, job.uid),)
    assert "is gone" in decision.status.message
    assert [type(action) for action in world.step().actions] == [EnsureJob]


@pytest.mark.parametrize(
    ("trouble", "made"),
    [(None, 1), (("ContainerCreating", ""), 1), (("Unschedulable", "0/1 nodes"), 0)],
    ids=["nothing-said", "mounting", "no-node"],
)
def test_decide__pod_that_waits_long_may_wait_for_its_plan(trouble: tuple[str, str] | None, made: int) -> None:
    world, job = begun()
    world.start(job.name, running=False, phase="Pending", started=None, trouble=trouble)
    assert world.quiet().again == timedelta(seconds=130)
    world.tick(seconds=130)
    assert [action.name for action in world.step().actions] == [job.name] * made


@pytest.mark.parametrize("queue", [None, "vision"])
def test_decide__edit_before_the_pod_ever_ran_makes_the_job_anew(queue: str | None) -> None:
    world, job = begun(**({"queue": queue} if queue else {}))
    if queue is None:
        world.start(
            job.name, running=False, started=None, phase="Pending", trouble=("ImagePullBackOff", "no such image")
        )
    world.edit(compute={"image": "registry.example/trainer:mended"})
    world.quiet()
    world.pods.clear()
    world.quiet()
    (now,) = world.going()
    plan = world.plans[now.name]
    assert now.name != job.name
    assert isinstance(plan, RoundPlan) and plan.spec.compute.image == "registry.example/trainer:mended"


@pytest.mark.parametrize("begun_by", ["a pod that ended", "an attempt before the suspension"])
def test_decide__edit_after_the_pod_ran_leaves_the_job(begun_by: str) -> None:
    world, job = begun()
    pod = world.start(job.name)
    if begun_by == "a pod that ended":
        world.end_pod(pod, 75)
    else:
        world.progress = {"round": 1, "attempt": 1, "percent": 10, "stage": "train"}
        world.quiet()
        world.edit(suspend=True)
        world.quiet()
        world.progress = None
    world.edit(policies={"preset": "none"}, suspend=begun_by != "a pod that ended")
    world.quiet()
    assert [one.name for one in world.going()] == [job.name]


def test_decide__job_without_a_pod_says_where_to_look() -> None:
    world, job = begun()
    assert world.quiet().again == timedelta(seconds=130)
    world.tick(minutes=3)
    world.quiet()
    assert world.status().message.startswith("Round 1: no pod was made for it")
    assert f"kubectl describe job {job.name}" in world.status().message


def test_decide__suspend_and_resume() -> None:
    world, job = begun()
    world.start(job.name)
    world.edit(suspend=True)
    decision = world.step()
    assert decision.actions == (SetSuspend(job.name, job.uid, True),)
    assert (decision.status.state, condition(decision.status, "Suspended")) == ("Suspended", ("True", "Suspended"))
    assert condition(decision.status, "Training") == ("False", "Suspended")
    world.quiet()
    world.edit(suspend=False)
    decision = world.step()
    assert decision.actions == (SetSuspend(job.name, job.uid, False),)
    assert {"Suspended", "Resumed"} <= set(world.told.values())


def test_decide__suspend_in_a_queue_deletes_the_job() -> None:
    world, job = begun(queue="gpus")
    world.edit(suspend=True)
    assert world.step().actions == (DeleteJob(job.name, job.uid),)
    assert (world.quiet().status.state, world.jobs) == ("Suspended", {})
    world.edit(suspend=False)
    world.quiet()
    assert [item.name for item in world.going()] == [job.name]


def test_decide__suspended_while_nothing_runs() -> None:
    world = World(line_resource(suspend=True))
    decision = world.quiet()
    assert (decision.actions, decision.again, decision.status.state) == ((), None, "Suspended")
    assert decision.status.message == "Suspended by spec.suspend: no round starts; 2 to be learned"


def test_decide__foreign_job_of_the_same_name() -> None:
    world, job = begun()
    world.jobs[job.name] = replace(job, line_uid="an-earlier-line", outcome="Complete")
    world.resource.pop("status")
    decision = world.step()
    assert (decision.actions, decision.status.state, decision.again) == ((), "Pending", timedelta(seconds=10))
    assert condition(decision.status, "Training") == ("False", "NameTaken")
    world.remove(job.name)
    assert len(world.step().actions) == 1


def test_decide__foreign_round_still_runs() -> None:
    world, job = begun()
    world.jobs["cards-r9-aaaaaaaa"] = replace(world.jobs.pop(job.name), name="cards-r9-aaaaaaaa", line_uid="other")
    assert world.step().actions == ()


def test_decide__waits_for_a_job_that_is_deleted_and_its_pods() -> None:
    world, job = begun()
    pod = world.start(job.name)
    world.jobs[job.name] = replace(job, deleting=True)
    assert (world.step().actions, condition(world.status(), "Training")) == ((), ("False", "Stopping"))
    del world.jobs[job.name]
    assert world.step().actions == () and pod.name in world.status().message
    world.pods.clear()
    assert [type(action) for action in world.step().actions] == [EnsureJob]


def test_decide__two_jobs_of_one_line() -> None:
    world, job = begun()
    twin = replace(job, name="cards-r1-twin", uid="twin", digest="ab")
    world.jobs[twin.name] = twin
    assert world.step().actions == (DeleteJob(twin.name, "twin"),)


def test_decide__finished_jobs_beyond_the_limit_go() -> None:
    world = World(line_resource(historyLimit=2))
    world.append("w49", "w50")
    world.grow()
    assert sorted(job.number for job in world.jobs.values()) == [3, 4]
    assert [item.round for item in world.status().rounds] == [3, 4]


def test_decide__finished_jobs_after_ttl_go() -> None:
    world = World(line_resource(ttl="1h", historyLimit=1))
    world.grow()
    assert len(world.jobs) == 2
    world.tick(hours=2)
    assert len(world.step().actions) == 2


def test_decide__line_that_is_being_deleted() -> None:
    world, _ = begun()
    world.resource["metadata"]["deletionTimestamp"] = "2026-11-24T00:00:00Z"
    decision = world.decide()
    assert (decision.actions, decision.status) == ((), world.status())
    assert world.now == START
