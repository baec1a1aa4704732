"""A line's whole world without a cluster: the store's lineage, Jobs, pods, a user, time. It drives `decide` for tests.

Pods do what a trainer's do as far as the operator can see it: they read the lineage, refuse an outdated plan, advance
the lineage and say how it stands in their last word.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from tests.unit.operator.decide.pods import LINE as LINE
from tests.unit.operator.decide.pods import Outcome, Pods
from treering_api import ExitCode, Lineage, RollbackPlan, RoundPlan, Status
from treering_operator.actions import Action, Decision, DeleteJob, EnsureJob, Plan, SetSuspend
from treering_operator.decide import decide
from treering_operator.observed import JobView, Observed, PodView, Termination
from treering_operator.settings import Settings

START = datetime(2026, 11, 24, tzinfo=UTC)
SETTINGS = Settings(trainer_image="localhost/treering-trainer:test")
UID = "line-uid"


def line_resource(**spec: Any) -> dict[str, Any]:
    """A line as the API server has it, with two increments unless `spec` says otherwise."""
    return {
        "apiVersion": "treering.dev/v1alpha1",
        "kind": "IncrementalTrain",
        "metadata": {"name": LINE, "namespace": "team", "uid": UID, "generation": 1, "annotations": {}},
        "spec": {
            "model": {"base": "s3://models/yolov8n.pt"},
            "store": {"uri": "s3://lines/cards"},
            "increments": [{"name": name, "uri": f"s3://deliveries/{name}"} for name in ("w47", "w48")],
            **spec,
        },
    }


@dataclass
class World(Pods):
    """Everything around the operator; tests change it between two decisions."""

    resource: dict[str, Any] = field(default_factory=line_resource)
    now: datetime = START
    lineage: Lineage = field(default_factory=lambda: Lineage(line=LINE))
    folder: dict[str, tuple[int, int]] = field(default_factory=dict)
    jobs: dict[str, JobView] = field(default_factory=dict)
    plans: dict[str, Plan] = field(default_factory=dict)
    pods: list[PodView] = field(default_factory=list)
    progress: dict[str, Any] | None = None
    told: dict[str, str] = field(default_factory=dict)
    ended: list[str] = field(default_factory=list)
    published: list[str] = field(default_factory=list)
    count: int = 0
    slow: bool = False
    """Whether what is deleted stays for a while, as in a cluster."""

    # What the operator sees and does

    def observe(self) -> Observed:
        return Observed(
            resource=copy.deepcopy(self.resource),
            jobs=tuple(self.jobs.values()),
            pods=tuple(self.pods),
            progress=self.progress,
            now=self.now,
            progress_time=self.now,
        )

    def decide(self) -> Decision:
        return decide(self.observe(), SETTINGS)

    def step(self, *, done: int | None = None, write: bool = True, stale: dict[str, Any] | None = None) -> Decision:
        """Decide and act once, as `reconcile` does: deletions come after the status write.

        Only the first `done` writes, the status' among them; or none from the status' on; or from a stale resource,
        whose status write is refused.
        """
        seen = self.observe()
        decision = decide(seen if stale is None else replace(seen, resource=stale), SETTINGS)
        deletions = [action for action in decision.actions if isinstance(action, DeleteJob)]
        writes: list[Action | Status] = [action for action in decision.actions if action not in deletions]
        if write and stale is None:
            writes += [decision.status, *deletions]
        for action in writes[:done]:
            self._act(action, decision)
        for notice in decision.notices:
            self.told.setdefault(notice.key, notice.reason)
        return decision

    def status(self) -> Status:
        return Status.model_validate(self.resource.get("status", {}))

    def quiet(self, limit: int = 60) -> Decision:
        """Decide until there is nothing to do but wait for pods."""
        for _ in range(limit):
            before = copy.deepcopy(self.resource.get("status"))
            decision = self.step()
            if not decision.actions and before == self.resource.get("status"):
                return decision
        raise AssertionError(f"no rest after {limit} decisions: {decision}")

    def _act(self, action: Action | Status, decision: Decision) -> None:
        if isinstance(action, Status):
            self.resource["status"] = action.data()
            self.ended += decision.ended
        elif isinstance(action, EnsureJob):
            self._ensure(action)
        elif isinstance(action, SetSuspend):
            if action.name in self.jobs:
                self.jobs[action.name] = replace(self.jobs[action.name], suspended=action.suspend)
                if action.suspend:
                    self.kill_pods(self.jobs[action.name])
        elif action.name in self.jobs and self.jobs[action.name].uid == action.uid:
            self.jobs[action.name] = replace(self.jobs[action.name], deleting=True)
            if not self.slow:
                self.finish_deletions()

    def _ensure(self, action: EnsureJob) -> None:
        if action.name in self.jobs:
            return
        job = self._job(action)
        if job.kind != "discovery":
            others = [name for name, other in self.jobs.items() if other.kind != "discovery" and not other.outcome]
            assert not others, f"{action.name} is made while {others} run"
        self.jobs[action.name], self.plans[action.name] = job, action.plan

    def _job(self, action: EnsureJob) -> JobView:
        plan = action.plan
        kind, number, names = "discovery", 0, tuple[str, ...]()
        if isinstance(plan, RoundPlan):
            kind, number, names = "round", plan.round, tuple(item.name for item in plan.increments)
        elif isinstance(plan, RollbackPlan):
            kind, number = "rollback", plan.to
        else:
            number = plan.number
        self.count += 1
        queue = plan.spec.queue or "" if kind == "round" else ""
        return JobView(
            name=action.name, namespace="team", uid=f"job-{self.count}", line=LINE, line_uid=UID, kind=kind,  # type: ignore[arg-type]
            number=number, digest=plan.work_digest(), increments=names[:50], suspended=bool(queue), queue=queue,
            nodes=1, gpus=1 if kind == "round" else 0, active=0, failed=0, outcome="", reason="", message="",
            deleting=False, created=self.now, started=None, finished=None,
            discovered=not set(names) <= {item.name for item in plan.spec.increments}, store=plan.spec.store.uri,
        )  # fmt: skip

    # What the cluster does

    def tick(self, **span: float) -> None:
        self.now += timedelta(**span)

    def going(self, *kinds: str) -> list[JobView]:
        return [job for job in self.jobs.values() if not job.outcome and (not kinds or job.kind in kinds)]

    def start(self, name: str, **more: Any) -> PodView:
        """The Job's pod runs."""
        job = self.jobs[name]
        self.count += 1
        pod = PodView(
            name=f"{name}-0-{self.count}", namespace="team", uid=f"pod-{self.count}", line=LINE, job=name,
            job_uid=job.uid, index=0, phase="Running", ip="10.0.0.9", running=True, deleting=False, disrupted=False,
            created=self.now, started=self.now, trouble=None, termination=None,
        )  # fmt: skip
        pod = replace(pod, **more)
        self.pods.append(pod)
        self.jobs[name] = replace(job, active=1, started=job.started or self.now)
        return pod

    def end_pod(self, pod: PodView, exit_code: int, message: str = "", reason: str = "") -> None:
        ended = Termination(exit_code, reason or ("Completed" if not exit_code else "Error"), message, self.now)
        phase = "Failed" if exit_code else "Succeeded"
        self.pods[self.pods.index(pod)] = replace(pod, running=False, phase=phase, termination=ended)

    def end_job(self, name: str, outcome: Literal["Complete", "Failed"], reason: str = "", message: str = "") -> None:
        self.jobs[name] = replace(
            self.jobs[name], outcome=outcome, reason=reason, message=message, active=0, finished=self.now
        )

    def kill_pods(self, job: JobView) -> None:
        self.pods = [pod for pod in self.pods if pod.job_uid != job.uid]

    def remove(self, name: str) -> None:
        job = self.jobs.pop(name)
        self.kill_pods(job)

    def finish_deletions(self) -> None:
        for name in [name for name, job in self.jobs.items() if job.deleting]:
            self.remove(name)

    def run(self, name: str, outcome: Outcome = "publish") -> None:
        """The Job's pod runs and ends, and so does the Job."""
        pod = self.start(name)
        self.tick(seconds=100)
        code, message = self.work(self.plans[name], outcome)
        if outcome == "out of memory":
            self.end_pod(pod, 137, reason="OOMKilled")
        else:
            self.end_pod(pod, code, "" if outcome in ("lost word", "nothing said") else message)
        fatal = code in (ExitCode.BAD_SPEC, ExitCode.BAD_DATA, ExitCode.REJECTED, ExitCode.OUTDATED)
        self.jobs[name] = replace(self.jobs[name], failed=1 if code else 0)
        self.end_job(name, "Failed" if code else "Complete", "PodFailurePolicy" if fatal else "BackoffLimitExceeded")

    def run_all(self, outcome: Outcome = "publish") -> None:
        for job in self.going():
            if not (job.suspended or job.deleting):
                self.run(job.name, outcome)

    # What people do

    def edit(self, **spec: Any) -> None:
        """Fields of the spec change; None takes a field away."""
        self.resource["metadata"]["generation"] += 1
        for name, value in spec.items():
            if value is None:
                self.resource["spec"].pop(name, None)
            else:
                self.resource["spec"][name] = value

    def append(self, *names: str) -> None:
        new = [{"name": name, "uri": f"s3://deliveries/{name}"} for name in names]
        self.edit(increments=[*self.resource["spec"].get("increments", []), *new])

    def ask_again(self) -> None:
        annotations = self.resource["metadata"]["annotations"]
        annotations["treering.dev/retry"] = str(int(annotations.get("treering.dev/retry", "0")) + 1)

    def deliver(self, name: str, images: int = 10) -> None:
        self.folder[name] = (images, self.folder.get(name, (0, 0))[1] + 1)

    def grow(self, limit: int = 60) -> Decision:
        """Decide, let every pod do its work well, and let time pass, until nothing changes any more."""
        for _ in range(limit):
            self.finish_deletions()
            decision = self.quiet()
            if not self.going() or all(job.suspended for job in self.going()):
                return decision
            self.run_all()
        raise AssertionError(f"no end after {limit} rounds: {decision}")


def begun(**spec: Any) -> tuple[World, JobView]:
    """A world whose first round has a Job."""
    world = World(line_resource(**spec))
    world.step()
    return world, world.going()[0]


def condition(status: Status, kind: str) -> tuple[str, str]:
    (found,) = (item for item in status.conditions if item.type == kind)
    return found.status, found.reason
