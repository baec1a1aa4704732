"""Plays trainer pods: a fake trainer that keeps each line's lineage as the store would, and answers as real pods do.

`Trainer.run` takes a plan's JSON and gives exit code and termination message, by the same rules as the real one: a
round that has ended is given as it ended, a plan that does not fit the lineage does nothing and ends as outdated.
`Player` lets it answer in the pods of a namespace, through `Kubelet`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from tests.plugins.api_server import Refusal
from tests.plugins.pods import Kubelet
from treering_api import (
    BadSpecError,
    Delivery,
    ExitCode,
    Lineage,
    LookPlan,
    LookResult,
    Mirror,
    ModelRef,
    RollbackPlan,
    RoundPlan,
    RoundResult,
    RoundSummary,
    advance,
    next_round,
    roll_back,
)

LINE_LABEL = "treering.dev/line"


@dataclass
class Trainer:
    """The store of every line, and what pods do with it.

    Args:
        rejected: increments whose rounds the gate rejects.
        unreadable: increments whose delivery has a label that can't be read.
        deliveries: what a look finds, by line.
    """

    rejected: set[str] = field(default_factory=set)
    unreadable: set[str] = field(default_factory=set)
    deliveries: dict[str, tuple[Delivery, ...]] = field(default_factory=dict)
    lineages: dict[str, Lineage] = field(default_factory=dict)
    attempts: dict[tuple[str, int], int] = field(default_factory=dict)

    def lineage(self, line: str) -> Lineage:
        """How a line stands in the store."""
        return self.lineages.get(line, Lineage(line=line))

    def run(self, kind: str, plan: str) -> tuple[int, str]:
        """Do what a pod of this kind does; exit code and termination message."""
        if kind == "round":
            result = self._round(RoundPlan.model_validate_json(plan))
        elif kind == "rollback":
            result = self._roll_back(RollbackPlan.model_validate_json(plan))
        else:
            return self._look(LookPlan.model_validate_json(plan))
        return int(result.exit_code), result.to_message()

    def _round(self, plan: RoundPlan) -> RoundResult:
        lineage = self.lineage(plan.line)
        names = tuple(increment.name for increment in plan.increments)
        done = next((one for one in lineage.rounds if one.round == plan.round and one.increments == names), None)
        if done is None:
            if not _fits(plan, lineage):
                return _outdated(plan, lineage)
            attempt = self.attempts[plan.line, plan.round] = self.attempts.get((plan.line, plan.round), 0) + 1
            bad = next((increment for increment in plan.increments if increment.name in self.unreadable), None)
            if bad is not None:
                return _bad_data(plan, attempt, f"{bad.uri}/labels/7.txt", lineage)
            done = self._train(plan, attempt)
            self.lineages[plan.line] = advance(lineage, plan, done, dict.fromkeys(names, 100))
        return _result(plan, done, self.lineage(plan.line))

    def _train(self, plan: RoundPlan, attempt: int) -> RoundSummary:
        names = tuple(increment.name for increment in plan.increments)
        published = not self.rejected & set(names)
        now = datetime.now(UTC).isoformat(timespec="seconds")
        uri = f"{plan.spec.store.uri}/rounds/{plan.round:04}/attempt-{attempt}"
        digest = hashlib.sha256(f"{plan.line} {names}".encode()).hexdigest()
        model = ModelRef(round=plan.round, attempt=attempt, uri=uri, digest=digest, classes=("ring",), map50=0.9)
        return RoundSummary(
            round=plan.round,
            attempt=attempt,
            parent=plan.parent,
            increments=names,
            strategy="incremental" if plan.parent else "full",
            reason="as the plan says",
            verdict="published" if published else "rejected",
            sentence="better everywhere" if published else "worse than before",
            map50=0.9 if published else 0.2,
            forgetting=0.01,
            images=100,
            gpu_seconds=60.0,
            started=now,
            finished=now,
            uri=uri,
            model=model if published else None,
        )

    def _roll_back(self, plan: RollbackPlan) -> RoundResult:
        lineage = self.lineage(plan.line)
        try:
            after = self.lineages[plan.line] = roll_back(lineage, plan.to)
        except BadSpecError as error:
            return RoundResult(
                exit_code=ExitCode.BAD_SPEC,
                line=plan.line,
                round=0,
                attempt=0,
                where=error.where,
                message=f"{error.found}. {error.mend}",
                mirror=Mirror.of(lineage),
            )
        return RoundResult(
            exit_code=ExitCode.SUCCESS,
            line=plan.line,
            round=plan.to,
            attempt=1,
            verdict="rolledBack",
            message=f"round {plan.to} is the line's model again",
            mirror=Mirror.of(after),
        )

    def _look(self, plan: LookPlan) -> tuple[int, str]:
        lineage = self.lineage(plan.line)
        settled = {item.increment.name for item in lineage.settled}
        found = tuple(one for one in self.deliveries.get(plan.line, ()) if one.name not in settled)
        result = LookResult(
            exit_code=ExitCode.SUCCESS,
            line=plan.line,
            number=plan.number,
            deliveries=found,
            mirror=Mirror.of(lineage),
        )
        return 0, result.to_message()


@dataclass
class Player:
    """Lets pods of one namespace run and end as the trainer says."""

    kubelet: Kubelet
    trainer: Trainer

    def play(self) -> int:
        """Every pod that could start runs and ends; how many did."""
        return sum(self._play(pod["metadata"]["name"], pod) for pod in self.kubelet.pods(LINE_LABEL))

    def play_until(self, true: Callable[[], bool], timeout_s: float = 60.0) -> None:
        """Play until it is true."""
        from tests.plugins.programs import wait_until

        def played() -> bool:
            self.play()
            return true()

        wait_until("the pods brought it about", played, timeout_s)

    def _play(self, name: str, pod: dict) -> bool:  # type: ignore[type-arg]
        if pod["status"].get("phase", "Pending") not in ("Pending", "Running"):
            return False
        labels = pod["metadata"]["labels"]
        job = labels["batch.kubernetes.io/job-name"]
        path = f"/api/v1/namespaces/{self.kubelet.namespace}/configmaps/{job}"
        try:
            plan = self.kubelet.server.request("GET", path)
            owner = pod["metadata"]["ownerReferences"][0]["uid"]
            if plan["metadata"]["ownerReferences"][0]["uid"] != owner:
                return False
            self.kubelet.running(name)
            exit_code, message = self.trainer.run(labels["treering.dev/kind"], plan["data"]["plan.json"])
            self.kubelet.ended(name, exit_code, message)
        except Refusal as refusal:
            if refusal.code in (404, 409):  # the plan is not there yet, or the pod not any more
                return False
            raise
        return True


def _fits(plan: RoundPlan, lineage: Lineage) -> bool:
    base = plan.base if isinstance(plan.base, str) else (plan.base.round, plan.base.digest)
    current = lineage.current
    has = plan.spec.model.base if current is None else (current.round, current.digest)
    if plan.round != lineage.round + 1 or base != has:
        return False
    listed = {increment.name for increment in plan.spec.increments}
    discovered = tuple(increment for increment in plan.increments if increment.name not in listed)
    step = next_round(plan.spec, plan.line, lineage, retry=plan.retry, discovered=discovered)
    return isinstance(step, RoundPlan) and step.increments == plan.increments


def _outdated(plan: RoundPlan, lineage: Lineage) -> RoundResult:
    return RoundResult(
        exit_code=ExitCode.OUTDATED,
        line=plan.line,
        round=plan.round,
        attempt=0,
        message="the line stands otherwise",
        mirror=Mirror.of(lineage),
    )


def _bad_data(plan: RoundPlan, attempt: int, where: str, lineage: Lineage) -> RoundResult:
    return RoundResult(
        exit_code=ExitCode.BAD_DATA,
        line=plan.line,
        round=plan.round,
        attempt=attempt,
        stage="verify",
        where=where,
        message="line 3 has four numbers. A box has a class and four numbers",
        mirror=Mirror.of(lineage),
    )


def _result(plan: RoundPlan, done: RoundSummary, lineage: Lineage) -> RoundResult:
    return RoundResult(
        exit_code=ExitCode.SUCCESS if done.verdict == "published" else ExitCode.REJECTED,
        line=plan.line,
        round=done.round,
        attempt=done.attempt,
        increments=done.increments,
        verdict=done.verdict,
        strategy=done.strategy,
        strategy_reason=done.reason,
        message=done.sentence,
        map50=done.map50,
        forgetting=done.forgetting,
        gpu_seconds=done.gpu_seconds,
        uri=done.uri,
        digest=done.model.digest if done.model else "",
        class_count=len(done.model.classes) if done.model else 0,
        classes=done.model.classes if done.model else (),
        started=done.started,
        finished=done.finished,
        images=done.images,
        mirror=Mirror.of(lineage),
    )
