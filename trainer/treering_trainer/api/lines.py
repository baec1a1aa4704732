"""The verbs of a line: run, look, fetch, roll back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from treering_api import (
    BadSpecError,
    IncrementalTrain,
    Lineage,
    ModelRef,
    Rollback,
    RoundPlan,
    RoundSummary,
    Waiting,
    outstanding,
    parse,
    roll_back,
)

if TYPE_CHECKING:
    from treering_trainer.cases.case import CaseList
    from treering_trainer.inspection import Inspection
    from treering_trainer.line import Line
    from treering_trainer.progress import Observer
    from treering_trainer.run import LineRun

LineSource = str | Path | IncrementalTrain


@dataclass(frozen=True)
class LineStatus:
    """Where a line stands.

    Args:
        waiting: increments that are not learned yet, in order.
        next_step: what a run would do.
        recent: the last finished rounds, as many as `spec.historyLimit` says.
    """

    line: str
    uri: str
    lineage: Lineage
    waiting: tuple[str, ...]
    next_step: RoundPlan | Rollback | Waiting
    recent: tuple[RoundSummary, ...]


def load(source: LineSource) -> IncrementalTrain:
    """Read a line's YAML file.

    Raises:
        BadSpecError: there is no such file, or it is not a valid `IncrementalTrain`; names the field.
    """
    if isinstance(source, IncrementalTrain):
        return source
    path = Path(source)
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise BadSpecError(str(path), "there is no such file", "Give the path of a line's YAML file.") from error
    except (OSError, UnicodeDecodeError) as error:
        raise BadSpecError(str(path), f"it can't be read as text: {error}", "Give a line's YAML file.") from error
    return parse(text, str(path))


def run(
    source: LineSource,
    *,
    workdir: Path | None = None,
    observer: Observer | None = None,
    certificate_authority: Path | None = None,
) -> LineRun:
    """Learn every outstanding increment, here and now; an interrupt stops cleanly, and the next call goes on.

    Args:
        workdir: the line's work folder; a run that was stopped goes on from it. None: in the user's cache.
        observer: hears of the progress; None writes log lines to standard error.
        certificate_authority: PEM file of the store's certificate authority.
    """
    from treering_trainer.engine.stop import StopRequest, stop_on_signals
    from treering_trainer.progress import Lines, Observers
    from treering_trainer.run import Setting, run_line

    stop = StopRequest()
    with stop_on_signals(stop):
        heard = Observers(observer or Lines())  # whose failure must not be the round's
        return run_line(load(source), Setting(workdir, certificate_authority, heard, stop))


def validate(source: LineSource) -> IncrementalTrain:
    """Check a spec alone; `inspect` checks it against the line's history and the data too.

    Raises:
        BadSpecError: names the field, what was found and the mend.
    """
    return load(source)


def inspect(
    source: LineSource,
    *,
    workdir: Path | None = None,
    observer: Observer | None = None,
    certificate_authority: Path | None = None,
) -> Inspection:
    """Pull and check every delivery that is to be learned, and the hold-outs; nothing is trained or published.

    What was seen is returned; its `enforce()` raises the error that a round would raise.

    Args:
        observer: hears of the progress; None: nobody does.
    """
    from treering_trainer.inspection import inspect as look

    return look(validate(source), workdir, certificate_authority, observer)


def plan(source: LineSource, *, certificate_authority: Path | None = None) -> RoundPlan | Rollback | Waiting:
    """What would run next, and why."""
    return status(source, certificate_authority=certificate_authority).next_step


def status(source: LineSource, *, certificate_authority: Path | None = None) -> LineStatus:
    """Where the line stands."""
    from treering_trainer.line import plan_next

    resource = load(source)
    line = open_source(resource, certificate_authority)
    lineage, _ = line.read()
    return LineStatus(
        line=line.name,
        uri=line.store.uri,
        lineage=lineage,
        waiting=tuple(increment.name for increment in outstanding(resource.spec, lineage)),
        next_step=plan_next(resource, lineage),
        recent=lineage.rounds[-resource.spec.history_limit :],
    )


def history(source: LineSource, *, certificate_authority: Path | None = None) -> tuple[RoundSummary, ...]:
    """Every finished round, in order."""
    return open_source(source, certificate_authority).read()[0].rounds


def models(source: LineSource, *, certificate_authority: Path | None = None) -> tuple[tuple[ModelRef, bool], ...]:
    """Every published model, in order, and whether it is the current one."""
    lineage, _ = open_source(source, certificate_authority).read()
    published = [summary.model for summary in lineage.rounds if summary.model is not None]
    return tuple((model, model == lineage.current) for model in published)


def fetch_model(
    source: LineSource,
    folder: Path,
    *,
    round_number: int | None = None,
    on_file: Callable[[str], None] | None = None,
    certificate_authority: Path | None = None,
) -> ModelRef:
    """Pull a published model's files into `folder`, each checked against the round's manifest.

    Args:
        round_number: the round that published it; None takes the current model.
        on_file: called with the name of each file that has come.

    Raises:
        BadSpecError: there is no such model.
        StoreError: a file is not what the manifest says.
    """
    from treering_trainer.cases.case import FOLDER
    from treering_trainer.line import MANIFEST
    from treering_trainer.store import read_manifest

    line = open_source(source, certificate_authority)
    model = _find_model(line.read()[0], round_number)
    store = line.model_folder(model)
    for name, entry in read_manifest(store, MANIFEST, sha256=model.digest).files.items():
        if name.startswith(f"{FOLDER}/"):
            continue  # pictures for people; `fetch_cases` brings them
        store.get_file(name, folder / name, sha256=entry.sha256, size_bytes=entry.size_bytes)
        if on_file is not None:
            on_file(name)
    return model


def fetch_cases(
    source: LineSource,
    folder: Path,
    *,
    round_number: int | None = None,
    certificate_authority: Path | None = None,
) -> CaseList:
    """Pull the cases that a finished round collected into `folder`: pictures, proposals, imports, the page.

    Those of a rejected round tell why it was rejected.

    Args:
        folder: is not there yet.
        round_number: None takes the last finished round.

    Raises:
        BadSpecError: `folder` is there, there is no such round, or it collected none.
        StoreError: a file is not what the manifest says.
    """
    from treering_trainer.cases.case import FOLDER, CaseList
    from treering_trainer.line import MANIFEST
    from treering_trainer.store import read_manifest

    if folder.exists():
        raise BadSpecError("--out", f"{folder} is there already", "Give another name; nothing is written over.")
    line = open_source(source, certificate_authority)
    summary = _find_round(line.read()[0], round_number)
    store, prefix = line.round_folder(summary.round, summary.attempt), f"{FOLDER}/"
    digest = summary.model.digest if summary.model else None
    files = read_manifest(store, MANIFEST, sha256=digest).files
    wanted = {name: entry for name, entry in files.items() if name.startswith(prefix)}
    if not wanted:
        found = f"round {summary.round} collected no cases"
        raise BadSpecError("spec.cases", found, "Give spec.cases, such as `cases: {}`; the next round collects them.")
    for name, entry in wanted.items():
        target = folder / name.removeprefix(prefix)
        store.get_file(name, target, sha256=entry.sha256, size_bytes=entry.size_bytes)
    return CaseList.model_validate_json((folder / "cases.json").read_bytes())


def roll_back_to(source: LineSource, round_number: int, *, certificate_authority: Path | None = None) -> Lineage:
    """Make the model of an earlier round current again; what was learned after it is outstanding again.

    Raises:
        BadSpecError: that round published nothing, or `spec.rollbackTo` names another one.
    """
    resource = load(source)
    pinned = resource.spec.rollback_to
    if pinned is not None and pinned != round_number:
        raise BadSpecError(
            "spec.rollbackTo",
            f"the spec asks for round {pinned}, the next run would go back to it",
            f"Remove it or set it to {round_number}",
        )
    line = open_source(resource, certificate_authority)
    lineage, etag = line.read()
    after = roll_back(lineage, round_number)
    if after != lineage:
        line.write(after, etag)
    return after


def open_source(source: LineSource, certificate_authority: Path | None) -> Line:
    """The line in its store."""
    from treering_trainer.line import open_line

    return open_line(load(source), certificate_authority)


def _find_model(lineage: Lineage, round_number: int | None) -> ModelRef:
    published = {summary.round: summary.model for summary in lineage.rounds if summary.model is not None}
    if round_number is None and lineage.current is not None:
        return lineage.current
    if round_number in published:
        return published[round_number]
    known = ", ".join(map(str, published)) or "none yet"
    what = "the line has no model yet" if round_number is None else f"round {round_number} published no model"
    raise BadSpecError("round", what, f"Published rounds: {known}.")


def _find_round(lineage: Lineage, round_number: int | None) -> RoundSummary:
    finished = {summary.round: summary for summary in lineage.rounds}
    number = max(finished, default=0) if round_number is None else round_number
    if number in finished:
        return finished[number]
    known = ", ".join(map(str, finished)) or "none yet"
    what = "no round has finished yet" if round_number is None else f"round {number} has not finished"
    raise BadSpecError("round", what, f"Finished rounds: {known}.")
