"""`treering validate`, `plan`, `status`, `history`: the verbs that only look."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from treering_api import RoundPlan, Waiting
from treering_trainer.cli.tables import print_findings, print_json, print_rounds, print_status, print_text

Spec = Annotated[Path, typer.Argument(help="The line's YAML file.", show_default=False)]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]


def validate(
    spec: Spec,
    data: Annotated[bool, typer.Option("--data", help="Also pull and check the deliveries and hold-outs.")] = False,
    workdir: Annotated[Path | None, typer.Option(help="Work folder for the pulled data.")] = None,
    as_json: Json = False,
) -> int:
    """Check a spec, and with --data everything that it would learn from."""
    from treering_trainer import api

    resource = api.validate(spec)
    if not data:
        count = len(resource.spec.increments)
        message = f"{spec}: valid: the line {resource.metadata.name}, {count} increment{'s' * (count != 1)}"
        print_json({"valid": True, "line": resource.metadata.name}) if as_json else print_text(message)
        return 0
    from treering_trainer.inspection import inspect

    report = inspect(resource, workdir)
    if as_json:
        print_json(report.model_dump(mode="json"))
    else:
        print_findings(report)
    report.enforce()
    return 0


def plan(spec: Spec, as_json: Json = False) -> int:
    """Show what would run next, and why."""
    from treering_trainer import api

    step = api.plan(spec)
    if isinstance(step, RoundPlan):
        if as_json:
            print_json(step.model_dump(mode="json", by_alias=True))
            return 0
        start = step.base if isinstance(step.base, str) else f"the model of round {step.base.round} ({step.base.uri})"
        print_text(f"round {step.round} of {step.line}: {step.reason}")
        print_text(f"  learns    {', '.join(f'{item.name} ({item.uri})' for item in step.increments)}")
        print_text(f"  starts    from {start}")
        print_text(f"  strategy  {step.strategy}")
        print_text(f"  stages    {' → '.join(step.stages)}")
        return 0
    if as_json:
        print_json({"waiting": step.reason} if isinstance(step, Waiting) else {"rollbackTo": step.round, "reason": step.reason})
    else:
        print_text(f"no round: {step.reason}" if isinstance(step, Waiting) else f"roll back to round {step.round}: {step.reason}")
    return 0


def status(spec: Spec, as_json: Json = False) -> int:
    """Show where a line stands."""
    from treering_trainer import api

    found = api.status(spec)
    if as_json:
        lineage = found.lineage.model_dump(mode="json", by_alias=True)
        print_json({"line": found.line, "uri": found.uri, "waiting": list(found.waiting), "lineage": lineage})
    else:
        print_status(found)
    return 0


def history(spec: Spec, as_json: Json = False) -> int:
    """Show every finished round of a line."""
    from treering_trainer import api

    rounds = api.history(spec)
    if as_json:
        print_json([summary.model_dump(mode="json", by_alias=True) for summary in rounds])
    elif rounds:
        print_rounds(rounds)
    else:
        print_text("no round has finished yet")
    return 0
