"""`treering validate`, `plan`, `status`, `history`: the verbs that only look.

torch is not loaded here, except by `validate --data`.
"""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Annotated, Any

import typer

from treering_api import Lineage, Rollback, RoundPlan, RoundSummary, Waiting, notices
from treering_api.strategy import decide, known_measures
from treering_trainer.cli.drawing import drawn
from treering_trainer.cli.options import AsJson, CertificateAuthority, SpecFile, Workdir
from treering_trainer.cli.tables import (
    describe_step,
    print_fields,
    print_inspection,
    print_json,
    print_rounds,
    print_status,
    print_text,
)

if TYPE_CHECKING:
    from treering_trainer.inspection import Inspection


def validate(
    spec: SpecFile,
    data: Annotated[bool, typer.Option("--data", help="Also pull and check the deliveries and hold-outs.")] = False,
    workdir: Workdir = None,
    certificate_authority: CertificateAuthority = None,
    as_json: AsJson = False,
) -> int:
    """Check a spec and, with --data, what it would learn from."""
    from treering_trainer import api

    resource = api.validate(spec)
    remarks = notices(resource.spec)
    if not as_json:
        for remark in remarks:
            print_text(f"note: {remark}")
    if data:
        with nullcontext() if as_json else drawn() as observer:
            report = api.inspect(
                resource, workdir=workdir, observer=observer, certificate_authority=certificate_authority
            )
        _show_inspection(report, remarks, as_json)
        report.enforce()
    if as_json:
        if not data:
            print_json({"valid": True, "line": resource.metadata.name, "notices": remarks})
    elif data:
        print_text(f"{spec} and its data are valid")
    else:
        names = ", ".join(increment.name for increment in resource.spec.increments) or "none listed"
        print_text(f"{spec} is valid: the line {resource.metadata.name}, increments {names}")
        print_text("The data was not looked at; --data does that.")
    return 0


def plan(spec: SpecFile, certificate_authority: CertificateAuthority = None, as_json: AsJson = False) -> int:
    """Show what would run next, and why.

    --json prints the plan that `treering round` takes.
    """
    from treering_trainer import api

    found = api.status(spec, certificate_authority=certificate_authority)
    step, lineage = found.next_step, found.lineage
    if as_json:
        print_json(_step_data(step))
    elif isinstance(step, RoundPlan):
        fields = {
            "round": f"{step.round} of the line {step.line}: {step.reason}",
            "learns": ", ".join(f"{item.name} ({item.uri})" for item in step.increments),
            "on top of": ", ".join(item.name for item in step.history),
            "starts": _start_words(step),
            "strategy": _strategy_words(step, lineage),
            "policies": ", ".join(step.spec.policies.resolve().active()) or "none",
            "stages": " → ".join(step.stages),
        }
        print_fields(fields)
    else:
        print_text(describe_step(step))
    return 0


def status(spec: SpecFile, certificate_authority: CertificateAuthority = None, as_json: AsJson = False) -> int:
    """Show where a line stands, and its last rounds.

    As many rounds as spec.historyLimit says; `history` shows all.
    """
    from treering_trainer import api

    found = api.status(spec, certificate_authority=certificate_authority)
    if not as_json:
        print_status(found)
        return 0
    lineage, step = found.lineage, found.next_step
    print_json(
        {
            "line": found.line,
            "uri": found.uri,
            "model": lineage.current.model_dump(mode="json", by_alias=True) if lineage.current else None,
            "learned": lineage.learned,
            "skipped": lineage.skipped,
            "waiting": found.waiting,
            "held": lineage.held.reason if lineage.held else None,
            "next": {"round": step.round, "reason": step.reason} if isinstance(step, RoundPlan) else _step_data(step),
            "rounds": _rounds_data(found.recent),
        }
    )
    return 0


def history(spec: SpecFile, certificate_authority: CertificateAuthority = None, as_json: AsJson = False) -> int:
    """Show every finished round of a line."""
    from treering_trainer import api

    rounds = api.history(spec, certificate_authority=certificate_authority)
    if as_json:
        print_json(_rounds_data(rounds))
    elif rounds:
        print_rounds(rounds)
    else:
        print_text("no round has finished yet")
    return 0


def _start_words(step: RoundPlan) -> str:
    base = step.base
    if not isinstance(base, str):
        return f"from the model of round {base.round} ({base.uri})"
    if not step.merges:
        return f"from {base}"
    model = step.spec.model
    taken = [(base, model.classes), *((donor.uri, donor.classes) for donor in model.donors)]
    models = "; ".join(f"{uri} ({', '.join(classes) or 'all of its classes'})" for uri, classes in taken)
    return f"from several models, merged: {models}"


def _strategy_words(step: RoundPlan, lineage: Lineage) -> str:
    """What auto would choose by what is known before any data is seen, and what it still has to measure."""
    if step.merges:
        return "incremental: each of the models teaches its classes on all pictures"
    if step.strategy != "auto":
        return step.strategy
    donors = step.spec.model.donors
    decision = decide(known_measures(lineage, len(donors)))
    if donors or not lineage.current:
        return f"auto: {decision.answer('strategy')}, {decision.reason('strategy')}"
    return f"auto, decided when the delivery was measured: {', '.join(decision.open)}"


def _show_inspection(report: Inspection, remarks: tuple[str, ...], as_json: bool) -> None:
    if not as_json:
        print_inspection(report)
        return
    counts, findings = ([item.model_dump(mode="json") for item in items] for items in (report.counts, report.findings))
    print_json({"counts": counts, "findings": findings, "notices": remarks})


def _step_data(step: RoundPlan | Rollback | Waiting) -> dict[str, Any]:
    if isinstance(step, RoundPlan):
        return step.model_dump(mode="json", by_alias=True)
    if isinstance(step, Rollback):
        return {"rollbackTo": step.round, "reason": step.reason}
    return {"waiting": step.code, "reason": step.reason}


def _rounds_data(rounds: tuple[RoundSummary, ...]) -> list[dict[str, Any]]:
    return [summary.model_dump(mode="json", by_alias=True) for summary in rounds]
