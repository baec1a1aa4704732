"""What a trainer's pods do in a test's world: they read the lineage, refuse or advance it, and say how it stands."""

from __future__ import annotations

from typing import Literal

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
    roll_back,
)
from treering_operator.actions import Plan

LINE = "cards"
Outcome = Literal["publish", "reject", "bad data", "crash", "out of memory", "lost word", "nothing said"]


class Pods:
    """The part of a world that its pods play."""

    lineage: Lineage
    folder: dict[str, tuple[int, int]]
    published: list[str]

    def work(self, plan: Plan, outcome: Outcome) -> tuple[int, str]:
        if isinstance(plan, LookPlan):
            return self._look(plan, outcome)
        if outcome in ("crash", "out of memory"):
            return int(ExitCode.RESUMABLE), self._failed(plan, ExitCode.RESUMABLE, "the disk is full")
        if outcome == "nothing said":
            return 0, ""
        return self._go_back(plan) if isinstance(plan, RollbackPlan) else self._learn(plan, outcome)

    def _learn(self, plan: RoundPlan, outcome: Outcome) -> tuple[int, str]:
        names = tuple(item.name for item in plan.increments)
        done = next((item for item in self.lineage.rounds if item.round == plan.round), None)
        if done is not None and done.increments == names:
            return self._said(done)
        settled = {item.increment.name for item in self.lineage.settled}
        base = self.lineage.current.digest if self.lineage.current else plan.spec.model.base
        planned = plan.base if isinstance(plan.base, str) else plan.base.digest
        if plan.round != self.lineage.round + 1 or base != planned or settled & set(names):
            return 6, self._failed(plan, ExitCode.OUTDATED, f"the line's last round is {self.lineage.round}")
        if outcome == "bad data":
            return 3, self._failed(plan, ExitCode.BAD_DATA, "3 labels are broken. Mend them", f"{names[0]}/labels")
        summary = self._summary(plan, published=outcome != "reject")
        self.lineage = advance(self.lineage, plan, summary, {})
        self.published += names if outcome != "reject" else ()
        return self._said(summary)

    def _summary(self, plan: RoundPlan, *, published: bool) -> RoundSummary:
        uri = f"{plan.spec.store.uri}/rounds/{plan.round}"
        model = ModelRef(
            round=plan.round, attempt=1, uri=uri, digest=f"{plan.round:064x}", classes=("ace", "king"), map50=0.9
        )
        return RoundSummary(
            round=plan.round,
            attempt=1,
            parent=plan.parent,
            increments=tuple(item.name for item in plan.increments),
            strategy="full" if plan.strategy == "full" else "incremental",
            reason="few new classes",
            verdict="published" if published else "rejected",
            sentence="nothing was lost" if published else "ace lost 9 points",
            map50=0.9,
            forgetting=0.01,
            gpu_seconds=100.0,
            started="2026-11-24T00:00:00Z",
            finished="2026-11-24T01:00:00Z",
            uri=uri,
            model=model if published else None,
        )

    def _said(self, summary: RoundSummary) -> tuple[int, str]:
        code = ExitCode.SUCCESS if summary.verdict == "published" else ExitCode.REJECTED
        result = RoundResult(
            exit_code=code, line=LINE, round=summary.round, attempt=1, increments=summary.increments,
            verdict=summary.verdict, strategy=summary.strategy, strategy_reason=summary.reason,
            message=summary.sentence, map50=summary.map50, forgetting=summary.forgetting, gpu_seconds=100.0,
            uri=summary.uri, classes=("ace", "king"), class_count=2, started=summary.started,
            finished=summary.finished, mirror=Mirror.of(self.lineage),
        )  # fmt: skip
        return int(code), result.to_message()

    def _failed(self, plan: RoundPlan | RollbackPlan, code: ExitCode, message: str, where: str = "") -> str:
        number = plan.round if isinstance(plan, RoundPlan) else plan.to
        outdated = code == ExitCode.OUTDATED
        return RoundResult(
            exit_code=code, line=LINE, round=number, attempt=1, where=where, message=message,
            mirror=Mirror.of(self.lineage) if outdated else None, classes=self._classes() if outdated else (),
            class_count=len(self._classes()) if outdated else 0,
        ).to_message()  # fmt: skip

    def _go_back(self, plan: RollbackPlan) -> tuple[int, str]:
        try:
            if self.lineage.current is None or self.lineage.current.round != plan.to:
                self.lineage = roll_back(self.lineage, plan.to)
        except BadSpecError as error:
            return 2, self._failed(plan, ExitCode.BAD_SPEC, f"{error.found}. {error.mend}", error.where)
        settled = {item.increment.name for item in self.lineage.settled}
        self.published = [name for name in self.published if name in settled]
        result = RoundResult(
            exit_code=ExitCode.SUCCESS, line=LINE, round=plan.to, attempt=0, verdict="rolledBack",
            message=f"round {plan.to} is current", mirror=Mirror.of(self.lineage),
        )  # fmt: skip
        return 0, result.to_message()

    def _look(self, plan: LookPlan, outcome: Outcome) -> tuple[int, str]:
        code = ExitCode.STORE if outcome in ("crash", "bad data", "out of memory") else ExitCode.SUCCESS
        settled = {item.increment.name for item in self.lineage.settled}
        seen = tuple(
            Delivery(name=name, images=images, digest=f"{version:x}")
            for name, (images, version) in sorted(self.folder.items())
            if name not in settled
        )
        result = LookResult(
            exit_code=code, line=LINE, number=plan.number, deliveries=() if code else seen,
            message="no answer" if code else "", mirror=None if code else Mirror.of(self.lineage),
            classes=self._classes(), class_count=len(self._classes()),
        )  # fmt: skip
        return int(code), result.to_message()

    def _classes(self) -> tuple[str, ...]:
        return self.lineage.current.classes if self.lineage.current else ()
