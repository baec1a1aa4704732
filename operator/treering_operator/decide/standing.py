"""Where a line stands, in one word and one sentence: what its conditions are made from."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from treering_api import ExitCode, Failure, Mirror, Reason, RollbackPlan, RoundPlan, Status, TreeringError, Waiting
from treering_api.status import State
from treering_operator.decide.ending import why_it_ended
from treering_operator.decide.family import Family
from treering_operator.decide.planning import Next
from treering_operator.decide.reading import Line
from treering_operator.decide.rounds import Handling
from treering_operator.observed import JobView, PodView

_PODLESS = timedelta(minutes=2)
"""A Job without a pod for so long was refused one; the operator may not read the Events that say why."""


@dataclass(frozen=True)
class Scene:
    """All that a standing is told from."""

    line: Line
    status: Status
    family: Family
    next: Next
    handling: Handling
    now: datetime


@dataclass(frozen=True)
class Standing:
    """Where a line stands.

    `ready`, `reconciling` and `stalled` are kstatus' words; `training` says whether a round's pod runs, and
    `training_reason` why or why not.
    """

    state: State
    reason: str
    message: str
    ready: bool = False
    reconciling: bool = False
    stalled: bool = False
    training: bool = False
    training_reason: str = Reason.NO_ROUND
    training_message: str = ""


def stand(scene: Scene) -> Standing:
    """Where the line stands now; what keeps it from going on comes before what goes on."""
    running = None if scene.handling.current is None else _of_job(scene, scene.handling.current)
    error = scene.next.error
    if error is not None:
        return _with_training(_stalled(Reason.BAD_SPEC, _error_words(error)), running)
    if scene.line.spec is not None and scene.line.spec.suspend:
        return _suspended(scene)
    if running is not None:
        return running
    if scene.handling.blocked:
        unheard = any(job.uid not in scene.status.harvested for job in scene.family.finished)
        ends = scene.family.going or scene.family.lingering() or unheard
        reason = Reason.STOPPING if ends else Reason.NAME_TAKEN
        return _pending(reason, scene.handling.blocked)
    if scene.handling.begun is not None:
        return _begun(scene.handling.begun)
    if isinstance(scene.next.step, Waiting):
        return _waiting(scene, scene.next.step)
    assert scene.status.failure is not None, "a step that is not begun has failed or is blocked"
    return _stalled(scene.status.failure.reason, failure_words(scene.status.failure))


def failure_words(failure: Failure) -> str:
    """A failure with its place, and what to do."""
    where = f"{failure.where}: " if failure.where else ""
    advice = next((code.advice for code in ExitCode if code.reason == failure.reason), "")
    again = "It is tried again when the spec changes, or the annotation treering.dev/retry."
    return " ".join(part for part in (_sentence(where + failure.message), advice, again) if part)


def _error_words(error: TreeringError) -> str:
    return _sentence(str(error))


def _stalled(reason: str, message: str) -> Standing:
    return Standing("Stalled", str(reason), message, stalled=True)


def _pending(reason: str, message: str) -> Standing:
    return Standing(
        "Pending", str(reason), message, reconciling=True, training_reason=str(reason), training_message=message
    )


def _with_training(standing: Standing, running: Standing | None) -> Standing:
    if running is None:
        return standing
    return Standing(
        standing.state,
        standing.reason,
        standing.message,
        stalled=True,
        training=running.training,
        training_reason=running.training_reason,
        training_message=running.training_message,
    )


def _suspended(scene: Scene) -> Standing:
    job = scene.handling.current
    message = "Suspended by spec.suspend: no round starts"
    if job is not None:
        message = f"Suspended by spec.suspend: round {job.number} goes on when it is false again"
    elif scene.next.outstanding:
        message += f"; {scene.next.outstanding} to be learned"
    return Standing("Suspended", Reason.SUSPENDED, message, training_reason=Reason.SUSPENDED, training_message=message)


def _begun(step: RoundPlan | RollbackPlan) -> Standing:
    if isinstance(step, RollbackPlan):
        return _pending(Reason.ROLLING_BACK, f"Going back to the model of round {step.to}")
    return _pending(Reason.NEW_INCREMENT, _sentence(f"Round {step.round} begins: {step.reason}"))


def _of_job(scene: Scene, job: JobView) -> Standing:
    """A Job that goes on."""
    pods = scene.family.pods_of(job)
    what = f"Round {job.number}" if job.kind == "round" else f"Going back to round {job.number}"
    if any(pod.running and not pod.deleting for pod in pods):
        return _running(scene, job, what)
    if job.suspended and job.queue:
        message = f"{what} waits for the queue {job.queue} to admit the Job {job.name}"
        return Standing("Queued", Reason.QUEUED, message, reconciling=True, training_reason=Reason.QUEUED,
                        training_message=message)  # fmt: skip
    trouble = next((pod.trouble for pod in reversed(pods) if pod.trouble and pod.termination is None), None)
    if trouble is not None:
        unschedulable = trouble[0] == Reason.UNSCHEDULABLE
        doing = "finds no node" if unschedulable else f"does not start ({trouble[0]})"
        message = _sentence(f"{what}: its pod {doing}: {trouble[1]}" if trouble[1] else f"{what}: its pod {doing}")
        return _pending(Reason.UNSCHEDULABLE if unschedulable else Reason.NOT_STARTING, message)
    last = last_exit(pods)
    if last is not None:
        assert last.termination is not None, "an exit is a termination"
        why = why_it_ended(last.termination, scene.line.name)
        message = _sentence(f"{what} is tried again after a pod ended: {why}")
        return Standing("Retrying", Reason.RETRYING, message, reconciling=True, training_reason=Reason.RETRYING,
                        training_message=message)  # fmt: skip
    if job.kind == "rollback":
        return _pending(Reason.ROLLING_BACK, f"Going back to the model of round {job.number}")
    if not pods and scene.now - job.created > _PODLESS:
        why = f"kubectl describe job {job.name} says why: a quota, a policy, a service account that is not there"
        return _pending(Reason.NOT_STARTING, f"{what}: no pod was made for it. {why}")
    return _pending(Reason.NEW_INCREMENT, f"{what} starts: the pod of the Job {job.name} is not up yet")


def last_exit(pods: tuple[PodView, ...]) -> PodView | None:
    """The newest pod that ended badly; None where the newest one that ended did not."""
    ended = [pod for pod in pods if pod.termination is not None]
    return ended[-1] if ended and ended[-1].termination and ended[-1].termination.exit_code else None


def _running(scene: Scene, job: JobView, what: str) -> Standing:
    if job.kind == "rollback":
        return _pending(Reason.ROLLING_BACK, f"Going back to the model of round {job.number}")
    names = ", ".join(job.increments[:3]) + ("..." if len(job.increments) > 3 else "")
    attempt = f", attempt {scene.status.attempt}" if scene.status.attempt > 1 else ""
    message = f"{what} learns {names}{attempt}" if names else f"{what} runs{attempt}"
    return Standing("Training", Reason.ROUND_RUNNING, message, reconciling=True, training=True,
                    training_reason=Reason.ROUND_RUNNING, training_message=message)  # fmt: skip


def _waiting(scene: Scene, step: Waiting) -> Standing:
    finished = Reason.ROUND_FINISHED if scene.status.rounds else Reason.NO_ROUND
    discovery, mirror = scene.status.discovery, scene.status.mirror or Mirror()
    if step.code == "Held":
        advice = "Change the spec, or the annotation treering.dev/retry, to go on"
        message = f"{_sentence(step.reason)} {advice}."
        return Standing("Held", Reason.HELD, message, stalled=True, training_reason=finished)
    if step.code == "RolledBack":
        return Standing("RolledBack", Reason.ROLLED_BACK, _sentence(step.reason), ready=True, training_reason=finished)
    has_model = mirror.model is not None
    if discovery is not None and discovery.failure:
        message = _sentence(f"{_capital(step.reason)}, but the last look for deliveries failed: {discovery.failure}")
        return Standing("Retrying", Reason.RETRYING, message, reconciling=True, training_reason=finished)
    if discovery is not None and discovery.waiting_for:
        message = _sentence(f"{_capital(step.reason)}; {discovery.waiting_for}")
        return Standing("Waiting", Reason.WAITING_FOR_DELIVERIES, message, ready=has_model,
                        reconciling=not has_model, training_reason=finished)  # fmt: skip
    if step.code == "NothingDelivered":
        return Standing("Waiting", Reason.NOTHING_DELIVERED, _sentence(_capital(step.reason)), reconciling=True,
                        training_reason=finished)  # fmt: skip
    return Standing("UpToDate", Reason.UP_TO_DATE, _sentence(_capital(step.reason)), ready=True,
                    training_reason=finished)  # fmt: skip


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _sentence(text: str) -> str:
    return text if text.endswith((".", "!", "?", "…")) else f"{text}."
