"""How Jobs end, and what a line makes of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.unit.operator.decide.world import LINE, World, line_resource
from treering_api import CaseCounts, ExitCode, ExportOutcome, Mirror, ResumableError, RoundResult
from treering_operator.actions import Decision, DeleteJob, EnsureJob
from treering_trainer.engine.stop import StopRequest


def world_after(outcome: Any, **spec: Any) -> World:
    """A world in which the first round's Job has ended so."""
    world = World(line_resource(**spec))
    world.step()
    world.run_all(outcome)
    return world


def gate(on_reject: str) -> dict[str, Any]:
    return {"gate": {"onReject": on_reject}}


def test_rejected__keep_goes_on_with_the_next() -> None:
    world = world_after("reject", evaluation=gate("keep"))
    decision = world.step()
    assert (decision.ended, decision.status.skipped, decision.status.increment) == (("rejected",), ("w47",), "w48")
    assert "RoundRejected" in {notice.reason for notice in decision.notices}


def test_rejected__hold_waits_for_a_person() -> None:
    world = world_after("reject", evaluation=gate("hold"))
    decision = world.step()
    assert (decision.actions, decision.status.state, decision.status.round) == ((), "Held", 1)
    assert [item.status for item in decision.status.conditions if item.type == "Stalled"] == ["True"]
    assert "Held" in {notice.reason for notice in decision.notices}
    assert "treering.dev/retry" in decision.status.message
    world.quiet()
    world.ask_again()
    assert world.grow().status.learned == ("w47", "w48")


def test_rejected__full_retraining_is_next() -> None:
    world = world_after("publish", evaluation=gate("retrainFull"))
    world.step()
    world.run_all("reject")
    (action,) = world.step().actions
    assert isinstance(action, EnsureJob)
    assert (action.plan.strategy, action.plan.round) == ("full", 3)  # type: ignore[union-attr]


FAILURES = [
    pytest.param("bad data", "BadData", "w47/labels", "3 labels are broken", id="bad-data"),
    pytest.param("crash", "RetriesExhausted", "", "1 try failed, the last one with Interrupted: the disk", id="crash"),
    pytest.param("out of memory", "OutOfMemory", "spec.compute.resources.limits", "more memory", id="memory"),
]


@pytest.mark.parametrize(("outcome", "reason", "where", "words"), FAILURES)
def test_failed__stalls_until_something_changes(outcome: Any, reason: str, where: str, words: str) -> None:
    world = world_after(outcome)
    decision = world.step()
    status = decision.status
    assert (decision.actions, decision.ended, status.state) == ((), ("failed",), "Stalled")
    assert status.failure is not None
    assert (status.failure.reason, status.failure.where) == (reason, where)
    assert words in status.message and "treering.dev/retry" in status.message
    (stalled,) = (item for item in status.conditions if item.type == "Stalled")
    assert (stalled.status, stalled.reason) == ("True", reason)
    assert [(item.round, item.verdict) for item in status.rounds] == [(1, "failed")]
    world.quiet()
    world.edit(historyLimit=5)
    assert world.quiet().status.state == "Stalled"


@pytest.mark.parametrize("mend", ["spec", "annotation"])
def test_failed__is_tried_again(mend: str) -> None:
    world = world_after("bad data")
    world.quiet()
    if mend == "spec":
        world.edit(verification={"maxQuarantined": 0.1})
    else:
        world.ask_again()
    decision = world.step()
    assert (len(decision.actions), decision.status.state, decision.status.failure) == (1, "Pending", None)
    assert decision.status.retry == ("" if mend == "spec" else "1")
    assert world.grow().status.state == "UpToDate"
    assert [(item.round, item.verdict) for item in world.status().rounds] == [(1, "published"), (2, "published")]
    assert world.status().gpu_seconds == 300.0


def test_failed__stays_so_while_suspended() -> None:
    world = world_after("bad data")
    world.quiet()
    world.edit(suspend=True)
    assert world.quiet().status.state == "Suspended"
    world.edit(suspend=False)
    assert world.quiet().status.state == "Stalled"


def test_failed__the_increment_is_taken_away() -> None:
    world = world_after("bad data")
    world.quiet()
    world.edit(increments=[{"name": "w48", "uri": "s3://deliveries/w48"}])
    assert world.grow().status.learned == ("w48",)


def test_failed__bad_spec_from_the_pod() -> None:
    world = World()
    world.step()
    (job,) = world.going()
    word = RoundResult(
        exit_code=ExitCode.BAD_SPEC, line=LINE, round=1, attempt=1, where="spec.model.base", message="it is no YOLO"
    )
    world.end_pod(world.start(job.name), 2, word.to_message())
    world.end_job(job.name, "Failed", "PodFailurePolicy")
    status = world.step().status
    assert (status.state, status.failure and status.failure.reason) == ("Stalled", "BadSpec")
    assert status.message.startswith("spec.model.base: it is no YOLO.")


def test_outdated__said_by_another_node_before_the_first_was_heard() -> None:
    world = World()
    world.step()
    (job,) = world.going()
    world.lineage = world.lineage.model_copy(update={"round": 4})
    first, other = world.start(job.name), world.start(job.name, index=1)
    code, message = world.work(world.plans[job.name], "publish")
    world.end_pod(other, code, message)
    world.tick(seconds=2)
    world.end_pod(first, 143)
    world.end_job(job.name, "Failed", "PodFailurePolicy")
    status = world.step().status
    assert status.mirror is not None
    assert (status.mirror.round, status.failure, status.round) == (4, None, 5)


def test_settled__gpu_time_that_is_no_number_is_not_counted() -> None:
    world = World()
    world.step()
    (job,) = world.going()
    pod = world.start(job.name)
    _, message = world.work(world.plans[job.name], "publish")
    world.end_pod(pod, 0, message.replace('"gpuSeconds":100.0', '"gpuSeconds":Infinity'))
    world.end_job(job.name, "Complete")
    assert "Infinity" in world.pods[0].termination.message  # type: ignore[union-attr]
    assert world.step().gpu_seconds == 0.0


@pytest.mark.parametrize("by", ["job", "container", "trainer"])
def test_failed__deadline(by: str) -> None:
    world = World()
    world.step()
    (job,) = world.going()
    stop = StopRequest()
    stop.request("spec.deadline: a try at a round may take 1h")
    with pytest.raises(ResumableError) as raised:
        stop.check("train")
    said = RoundResult(
        exit_code=raised.value.exit_code, line=LINE, round=1, attempt=1, where=raised.value.where,
        message=f"{raised.value.found}. {raised.value.mend}",
    )  # fmt: skip
    message = said.to_message() if by == "trainer" else ""
    world.end_pod(world.start(job.name), 143, message, reason="DeadlineExceeded" if by == "container" else "Error")
    world.end_job(job.name, "Failed", "DeadlineExceeded" if by == "job" else "BackoffLimitExceeded")
    status = world.step().status
    assert status.failure is not None
    assert (status.failure.reason, status.failure.where) == ("DeadlineExceeded", "spec.deadline")


@pytest.mark.parametrize(
    ("code", "reason", "words"),
    [(137, "RetriesExhausted", "exit code 137"), (3, "BadData", "said nothing more"), (99, "RetriesExhausted", "99")],
)
def test_failed__without_a_word(code: int, reason: str, words: str) -> None:
    world = World()
    world.step()
    (job,) = world.going()
    world.end_pod(world.start(job.name), code, "Killed")
    world.end_job(job.name, "Failed", "BackoffLimitExceeded")
    status = world.step().status
    assert status.failure is not None
    assert (status.failure.reason, words in status.failure.message) == (reason, True)


def test_failed__without_a_pod() -> None:
    world = World()
    world.step()
    (job,) = world.going()
    world.end_job(job.name, "Failed", "BackoffLimitExceeded", "Job has reached the specified backoff limit")
    status = world.step().status
    assert (status.state, "specified backoff limit" in status.message) == ("Stalled", True)


def test_failed__an_earlier_pod_s_verdict_counts() -> None:
    world = World()
    world.step()
    (job,) = world.going()
    first = world.start(job.name)
    world.end_pod(first, *world.work(world.plans[job.name], "publish"))
    world.tick(seconds=9)
    world.end_pod(world.start(job.name), 137)
    world.end_job(job.name, "Failed", "BackoffLimitExceeded")
    assert world.step().status.learned == ("w47",)


def increments(*names: str) -> list[dict[str, str]]:
    return [{"name": name, "uri": f"s3://deliveries/{name}"} for name in names]


def test_outdated__what_a_laptop_trained_meanwhile_is_taken_over() -> None:
    laptop = World(line_resource(increments=increments("w47", "other")))
    laptop.grow()
    world = World()
    world.step()
    world.run_all()
    world.quiet()
    world.lineage = laptop.lineage
    (job,) = world.going()
    world.run(job.name)
    decision = world.step()
    assert "Adopted" in {notice.reason for notice in decision.notices}
    assert decision.status.message.startswith(
        "spec.increments: increment 'other' was learned in round 2, but is gone. Put it back at place 2"
    )
    world.quiet()
    world.edit(increments=increments("w47", "other", "w48"))
    decision = world.step()
    made, gone = decision.actions
    assert isinstance(made, EnsureJob) and made.plan.round == 3  # type: ignore[union-attr]
    assert gone == DeleteJob(job.name, job.uid)
    assert world.grow().status.learned == ("w47", "other", "w48")


def test_settled__line_made_anew_finds_its_rounds_in_the_store() -> None:
    before = World()
    before.grow()
    world = World(lineage=before.lineage)
    world.append("w49")
    world.step()
    world.run_all()
    status = world.step().status
    assert (status.round, status.learned, status.increment) == (3, ("w47", "w48"), "w49")
    assert world.grow().status.learned == ("w47", "w48", "w49")


def test_outdated__that_says_nothing_new_does_not_go_round_in_circles() -> None:
    world = World()
    world.step()
    (job,) = world.going()
    word = RoundResult(
        exit_code=ExitCode.OUTDATED, line=LINE, round=1, attempt=0, message="no", mirror=Mirror.of(world.lineage)
    )
    world.end_pod(world.start(job.name), 6, word.to_message())
    world.end_job(job.name, "Failed", "PodFailurePolicy")
    status = world.quiet().status
    assert (status.state, status.failure and status.failure.reason, len(world.jobs)) == ("Stalled", "Outdated", 1)


def test_silent__published_but_not_said_is_asked_again() -> None:
    world = world_after("lost word")
    (job,) = world.jobs.values()
    decision = world.step()
    assert (decision.actions, decision.status.state) == ((DeleteJob(job.name, job.uid),), "Pending")
    world.quiet()
    assert [item.name for item in world.going()] == [job.name]
    assert world.grow().status.learned == ("w47", "w48")
    assert world.published == ["w47", "w48"]


def test_silent__not_for_ever() -> None:
    world = World()
    for _ in range(3):
        world.quiet()
        world.run_all("nothing said")
    status = world.quiet().status
    assert (status.state, world.going()) == ("Stalled", [])
    assert "3 times without saying how" in status.message
    world.ask_again()
    assert world.grow().status.state == "UpToDate"


def test_settled__job_deleted_after_it_ended_still_counts() -> None:
    world = world_after("publish")
    (job,) = world.jobs.values()
    world.jobs[job.name] = replace(job, deleting=True)
    assert world.step().status.learned == ("w47",)


def test_settled__odd_numbers_and_names_do_no_harm() -> None:
    world = World()
    world.step()
    (job,) = world.going()
    world.work(world.plans[job.name], "publish")
    word = RoundResult(
        exit_code=ExitCode.SUCCESS, line=LINE, round=1, attempt=1, verdict="published", map50=17.0, started="soon",
        message="x" * 1500, classes=("a\nb", "ok"), mirror=Mirror.of(world.lineage),
    )  # fmt: skip
    world.end_pod(world.start(job.name), 0, word.to_message())
    world.end_job(job.name, "Complete")
    status = world.step().status
    assert (status.learned, status.rounds[0].map50) == (("w47",), None)
    assert status.model is not None and status.model.classes == ("ok",)
    assert status.rounds[0].start_time == "2026-11-24T00:00:00Z"


def test_settled__fields_of_a_newer_trainer_are_let_through() -> None:
    world = World()
    world.step()
    (job,) = world.going()
    _, message = world.work(world.plans[job.name], "publish")
    world.end_pod(world.start(job.name), 0, message[:-1] + ',"carbon": 7}')
    world.end_job(job.name, "Complete")
    assert world.step().status.learned == ("w47",)


def published_with(**told: Any) -> Decision:
    """What is decided when a first round was published, whose last word says this, too."""
    world = World()
    world.step()
    (job,) = world.going()
    pod = world.start(job.name)
    code, message = world.work(world.plans[job.name], "publish")
    word = RoundResult.from_message(message).model_copy(update=told)
    world.end_pod(pod, code, word.to_message())
    world.end_job(job.name, "Complete", "")
    return world.step()


def test_published__what_was_collected_for_people_stands_in_the_status() -> None:
    counts = CaseCounts(missed=3, false_alarm=1, uncertain=12)
    assert published_with(cases=counts).status.rounds[-1].cases == counts


def test_published__a_format_that_was_left_out_is_told_and_stands_in_the_status() -> None:
    exports = (
        ExportOutcome(name="onnx", passed=True, map50=0.9, drop=0.0),
        ExportOutcome(name="onnx-int8", passed=False, drop=0.03, reason="mAP50 lost 3.0 points"),
    )
    decision = published_with(exports=exports)
    told = [notice for notice in decision.notices if notice.reason == "ExportLeftOut"]
    assert [(notice.warning, notice.message) for notice in told] == [
        (True, "Round 1 was published without onnx-int8 (mAP50 lost 3.0 points)")
    ]
    assert decision.status.rounds[-1].exports == exports
