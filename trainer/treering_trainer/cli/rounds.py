"""`treering run` and `treering round`: the verbs that train.

What they need to train is imported when they run, so that `treering --help` is quick.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from pydantic import ValidationError

from treering_api import BadSpecError, ExitCode, RoundPlan, RoundResult, RoundSummary, TreeringError
from treering_trainer.cli.drawing import drawn
from treering_trainer.cli.options import AsJson, CertificateAuthority, Listen, SpecFile, Workdir
from treering_trainer.cli.tables import print_json, print_rounds, print_text

if TYPE_CHECKING:
    from treering_trainer.engine.stop import StopRequest
    from treering_trainer.progress import Event, Observers


def run(
    spec: SpecFile,
    workdir: Workdir = None,
    listen: Listen = None,
    certificate_authority: CertificateAuthority = None,
    as_json: AsJson = False,
) -> int:
    """Learn every outstanding increment, here and now.

    Ctrl-C stops cleanly after the running batch; the next run goes on at the last full epoch.
    """
    from treering_trainer.api import validate

    resource = validate(spec)  # a mistake in it should not have to wait for torch
    with _watched(as_json, listen) as (observers, stop):
        from treering_trainer.run import Setting, run_line

        done = run_line(resource, Setting(workdir, certificate_authority, observers, stop))
    if as_json:
        print_json({"event": "LineWaiting", "reason": done.waiting.reason, "code": done.waiting.code})
    else:
        if done.rounds:
            print_rounds(done.rounds)
        print_text(f"{resource.metadata.name}: {done.waiting.reason}")
    return int(ExitCode.REJECTED if done.rejected else ExitCode.SUCCESS)


def run_one(
    plan: Annotated[Path, typer.Argument(help="A round's plan as JSON (`treering plan --json`).", show_default=False)],
    workdir: Workdir = None,
    listen: Listen = None,
    result: Annotated[
        Path | None, typer.Option(help="File for the round's result, at most 4096 bytes of JSON.")
    ] = None,
    certificate_authority: CertificateAuthority = None,
    as_json: AsJson = False,
) -> int:
    """Run the one round of a plan: what a trainer pod does."""
    if result is not None:
        _refuse_unwritable(result)
    place = _Place()
    outcome = RoundResult(exit_code=ExitCode.INTERNAL, line="unknown", round=0, attempt=0)
    try:
        loaded = _load_plan(plan)
        outcome = RoundResult(exit_code=ExitCode.INTERNAL, line=loaded.line, round=loaded.round, attempt=0)
        with _watched(as_json, listen) as (observers, stop):
            from treering_trainer.run import Setting, run_plan

            observers.add(place)
            summary = run_plan(loaded, Setting(workdir, certificate_authority, observers, stop))
        outcome = summarise(loaded, summary)
    except BaseException as error:
        outcome = _failed(outcome, place, error)
        raise
    finally:
        if result is not None:
            _leave(outcome, result)
    return int(outcome.exit_code)


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
        gpu_seconds=summary.gpu_seconds,
        uri=summary.uri,
        digest=model.digest if model else "",
        class_count=len(model.classes) if model else 0,
        classes=model.classes if model else (),
    )


def _failed(outcome: RoundResult, place: _Place, error: BaseException) -> RoundResult:
    """The last word of a pod whose round did not."""
    update: dict[str, object] = {"stage": place.stage, "attempt": place.attempt}
    if isinstance(error, TreeringError):
        message = f"{error.found}. {error.mend}"
        update |= {"exit_code": error.exit_code, "where": error.where, "message": message}
    elif isinstance(error, KeyboardInterrupt):
        update |= {"exit_code": ExitCode.RESUMABLE, "message": ExitCode.RESUMABLE.advice}
    else:
        update |= {"message": f"{type(error).__name__}: {error}. {ExitCode.INTERNAL.advice}"}
    return outcome.model_copy(update=update)


def _refuse_unwritable(result: Path) -> None:
    """Before hours of work: whether its result can be left where it is asked for."""
    try:
        result.open("a").close()  # appending leaves what is there
    except OSError as error:
        found = f"{result} can't be written: {error.strerror}"
        raise BadSpecError("--result", found, "Give a file in a folder that is there and may be written to.") from error


def _leave(outcome: RoundResult, result: Path) -> None:
    """Write the result; never raises, for the round's own error must be the one that is seen."""
    try:
        result.write_text(outcome.to_message())
    except OSError as error:
        typer.echo(f"The round's result can't be written to {result}: {error.strerror}", err=True)


class _Place:
    """Remembers where a round is, for the result of one that fails."""

    stage = ""
    attempt = 0

    def __call__(self, event: Event) -> None:
        from treering_trainer.progress import StageStarted

        if isinstance(event, StageStarted):
            self.stage = event.stage
        self.attempt = getattr(event, "attempt", self.attempt)


@contextmanager
def _watched(as_json: bool, listen: str | None) -> Iterator[tuple[Observers, StopRequest]]:
    from treering_trainer.engine.stop import StopRequest, stop_on_signals
    from treering_trainer.progress import JsonLines, Message, Observers, ProgressServer, ProgressState

    stop, observers = StopRequest(), Observers()
    with ExitStack() as stack:
        observers.add(JsonLines(sys.stdout) if as_json else stack.enter_context(drawn()))
        if listen is not None:
            state = ProgressState()
            observers.add(state)
            host, port = _address(listen)
            server = stack.enter_context(ProgressServer(state, host, port))
            observers(Message("info", f"progress and metrics on {server.url}/progress and {server.url}/metrics"))
        stack.enter_context(stop_on_signals(stop))
        yield observers, stop


def _address(listen: str) -> tuple[str, int]:
    host, _, port = listen.rpartition(":")
    if not host or not port.isdigit():
        raise BadSpecError("--listen", f"{listen!r} is no HOST:PORT", "Give something like 127.0.0.1:9464.")
    return host.strip("[]"), int(port)


def _load_plan(path: Path) -> RoundPlan:
    try:
        return RoundPlan.model_validate_json(path.read_bytes())
    except OSError as error:
        raise BadSpecError(
            str(path), f"the plan can't be read: {error.strerror}", "Give the path of a plan."
        ) from error
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise BadSpecError(str(path), f"no plan of this version: {place}: {first['msg']}", "Make it anew.") from error
