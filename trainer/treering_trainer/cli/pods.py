"""`treering round`, `rollback` and `discover`: what a cluster's pods are started with, a plan in and a result out.

Only `round` loads torch.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from treering_api import (
    ExitCode,
    LookPlan,
    LookResult,
    ModelRef,
    RollbackPlan,
    RoundPlan,
    RoundResult,
    RoundSummary,
)
from treering_trainer.cli.last_word import LastWord, load_plan
from treering_trainer.cli.options import AsJson, CertificateAuthority, Listen, Workdir
from treering_trainer.cli.tables import print_json, print_text
from treering_trainer.cli.watching import watched

if TYPE_CHECKING:
    from treering_trainer.progress import Event

PlanFile = Annotated[Path, typer.Argument(metavar="PLAN", help="The plan, as JSON.", show_default=False)]
ResultFile = Annotated[Path | None, typer.Option(help="File for the result, at most 4096 bytes of JSON.")]
COST = "treering_round_gpu_seconds_total"


def run_round(
    plan: PlanFile,
    workdir: Workdir = None,
    listen: Listen = None,
    result: ResultFile = None,
    certificate_authority: CertificateAuthority = None,
    as_json: AsJson = False,
) -> int:
    """Run the one round of a plan: what a trainer pod does.

    `treering plan --json` prints such a plan. A stopped round goes on from the work folder, or from the checkpoint that
    it left in the store.
    """
    word, place = LastWord[RoundResult](result, _nothing()), _Place()
    with word.left():
        loaded = load_plan(RoundPlan, plan)
        word.add(line=loaded.line, round=loaded.round)
        try:
            with watched(as_json, listen) as (observers, stop):
                from treering_trainer.run import Setting, run_plan
                from treering_trainer.stages.safekeeping import INTERVAL_S

                observers.add(place)
                setting = Setting(workdir, certificate_authority, observers, stop, safe_interval_s=INTERVAL_S)
                summary = run_plan(loaded, setting, word.standing)
            if summary is None:
                word.add(**_took_part(place))
            else:
                word.outcome = summarise(loaded, summary)
        except BaseException:
            word.add(stage=place.stage, attempt=place.attempt, started=place.started, gpu_seconds=place.gpu_seconds)
            raise
        finally:
            word.add(store=word.standing.store)
    return int(word.outcome.exit_code)


def roll_back(
    plan: PlanFile,
    result: ResultFile = None,
    certificate_authority: CertificateAuthority = None,
    as_json: AsJson = False,
) -> int:
    """Make an earlier round's model current again, by a plan: what a pod does for spec.rollbackTo.

    By hand it is `treering models rollback`.
    """
    from treering_trainer.pod import find_line, roll_back_by
    from treering_trainer.progress import Lines

    word = LastWord[RoundResult](result, _nothing())
    with word.left():
        loaded = load_plan(RollbackPlan, plan)
        word.add(line=loaded.line)
        line = find_line(loaded.line, loaded.spec, certificate_authority)
        try:
            word.standing.measure(line, Lines())
            model = roll_back_by(loaded, line, word.standing)
        finally:
            word.add(store=word.standing.store)
        word.outcome = _rolled_back(loaded, model, word.outcome)
    print_json({"current": model.round}) if as_json else print_text(word.outcome.message)
    return int(ExitCode.SUCCESS)


def discover(
    plan: PlanFile,
    result: ResultFile = None,
    certificate_authority: CertificateAuthority = None,
    as_json: AsJson = False,
) -> int:
    """Look for deliveries in the folder of spec.discover, by a plan: what a pod does for it."""
    from treering_trainer.discovery import look

    word = LastWord[LookResult](result, LookResult(exit_code=ExitCode.INTERNAL, line="unknown", number=0))
    with word.left():
        loaded = load_plan(LookPlan, plan)
        word.add(line=loaded.line, number=loaded.number)
        seen = look(loaded, word.standing, certificate_authority)
        word.add(exit_code=ExitCode.SUCCESS, deliveries=seen.deliveries, message=seen.passed_over)
    if as_json:
        print_json([delivery.model_dump(mode="json", by_alias=True) for delivery in seen.deliveries])
    else:
        found = ", ".join(f"{delivery.name} ({delivery.images} images)" for delivery in seen.deliveries)
        print_text(" ".join(part for part in (f"found: {found or 'nothing new'}", seen.passed_over) if part))
    return int(ExitCode.SUCCESS)


def summarise(plan: RoundPlan, summary: RoundSummary) -> RoundResult:
    """The last word of a pod whose round reached its verdict."""
    model = summary.model
    return RoundResult(
        exit_code=ExitCode.SUCCESS if summary.verdict == "published" else ExitCode.REJECTED,
        line=plan.line,
        round=summary.round,
        attempt=summary.attempt,
        increments=summary.increments,
        verdict=summary.verdict,
        strategy=summary.strategy,
        strategy_reason=summary.reason,
        message=summary.sentence,
        map50=summary.map50,
        map50_before=summary.map50_before,
        forgetting=summary.forgetting,
        gain=summary.gain,
        measured=summary.measured,
        exports=summary.exports,
        cases=summary.cases,
        gpu_seconds=summary.gpu_seconds,
        uri=summary.uri,
        digest=model.digest if model else "",
        class_count=len(model.classes) if model else 0,
        classes=model.classes if model else (),
        started=summary.started,
        finished=summary.finished,
        images=summary.images,
    )


def _took_part(place: _Place) -> dict[str, Any]:
    """The last word of a pod that only trained: the verdict, and all that it rests on, is the first pod's."""
    message = "this node's part of the training has ended; node 0 runs the round"
    return {"exit_code": ExitCode.SUCCESS, "attempt": place.attempt, "started": place.started, "message": message}


def _nothing() -> RoundResult:
    return RoundResult(exit_code=ExitCode.INTERNAL, line="unknown", round=0, attempt=0)


def _rolled_back(plan: RollbackPlan, model: ModelRef, outcome: RoundResult) -> RoundResult:
    return outcome.model_copy(
        update={
            "exit_code": ExitCode.SUCCESS,
            "round": model.round,
            "attempt": model.attempt,
            "verdict": "rolledBack",
            "message": f"round {model.round} is the line's model again: {plan.reason}",
            "map50": model.map50,
            "uri": model.uri,
            "digest": model.digest,
            "class_count": len(model.classes),
            "classes": model.classes,
        }
    )


class _Place:
    """Remembers where a round is and what it cost so far, for the result of one that fails."""

    stage = ""
    attempt = 0
    started = ""
    gpu_seconds = 0.0

    def __call__(self, event: Event) -> None:
        from treering_trainer.line import now
        from treering_trainer.progress import Measured, RoundStarted, StageStarted

        match event:
            case RoundStarted():
                self.attempt, self.started = event.attempt, now()
            case StageStarted():
                self.stage = event.stage
            case Measured() if event.metric == COST:
                self.gpu_seconds = event.value
            case _:
                pass
