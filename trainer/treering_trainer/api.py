"""The verbs of Treering for Python and notebooks; the command line calls the same functions.

    from treering_trainer import api as treering

    treering.run("cards.yaml")
    treering.history("cards.yaml")

A line is named by the path of its YAML file or given as an `IncrementalTrain`. Errors are `TreeringError`s.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

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
    refuse_unsupported,
    roll_back,
)
from treering_trainer.progress import Observer, Observers
from treering_trainer.run import LineRun, Setting, open_line, plan_next, run_line
from treering_trainer.store import check_file, pull, read_manifest

LineSource = str | Path | IncrementalTrain


@dataclass(frozen=True)
class LineStatus:
    """Where a line stands.

    Args:
        waiting: increments that are not learned yet, in order.
        next_step: what a run would do.
    """

    line: str
    uri: str
    lineage: Lineage
    waiting: tuple[str, ...]
    next_step: RoundPlan | Rollback | Waiting


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


def run(source: LineSource, *, workdir: Path | None = None, observer: Observer | None = None) -> LineRun:
    """Learn every outstanding increment, here and now.

    Args:
        workdir: the line's work folder; a run that was stopped goes on from it.
        observer: hears of the progress.
    """
    return run_line(load(source), Setting(folder=workdir, observer=observer or Observers()))


def validate(source: LineSource) -> IncrementalTrain:
    """Check a spec alone; `inspection.inspect` checks it against the line's history and the data too.

    Raises:
        BadSpecError: names the field, what was found and the mend.
    """
    resource = load(source)
    refuse_unsupported(resource.spec)
    return resource


def plan(source: LineSource) -> RoundPlan | Rollback | Waiting:
    """What would run next, and why."""
    resource = load(source)
    lineage, _ = open_line(resource).read()
    return plan_next(resource, lineage)


def status(source: LineSource) -> LineStatus:
    """Where the line stands."""
    resource = load(source)
    line = open_line(resource)
    lineage, _ = line.read()
    return LineStatus(
        line=line.name,
        uri=line.store.uri,
        lineage=lineage,
        waiting=tuple(increment.name for increment in outstanding(resource.spec, lineage)),
        next_step=plan_next(resource, lineage),
    )


def history(source: LineSource) -> tuple[RoundSummary, ...]:
    """Every finished round, in order."""
    return open_line(load(source)).read()[0].rounds


def models(source: LineSource) -> tuple[tuple[ModelRef, bool], ...]:
    """Every published model, in order, and whether it is the current one."""
    lineage, _ = open_line(load(source)).read()
    published = [summary.model for summary in lineage.rounds if summary.model is not None]
    return tuple((model, model == lineage.current) for model in published)


def fetch_model(
    source: LineSource, folder: Path, *, round_number: int | None = None, on_file: Callable[[str], None] | None = None
) -> ModelRef:
    """Pull a published model's files into `folder`, each checked against the round's manifest.

    Args:
        round_number: the round that published it; None takes the current model.

    Raises:
        BadSpecError: there is no such model.
        StoreError: a file is not what the manifest says.
    """
    line = open_line(load(source))
    lineage, _ = line.read()
    model = _find_model(lineage, round_number)
    store = line.model_folder(model)
    manifest = read_manifest(store, "manifest.json", sha256=model.digest)
    pull(store, {name: folder / name for name in manifest.files})
    for name, entry in manifest.files.items():
        check_file(folder / name, entry)
        if on_file is not None:
            on_file(name)
    return model


def roll_back_to(source: LineSource, round_number: int) -> Lineage:
    """Make the model of an earlier round current again; what was learned after it is outstanding again.

    Raises:
        BadSpecError: that round published nothing.
    """
    line = open_line(load(source))
    lineage, etag = line.read()
    after = roll_back(lineage, round_number)
    line.write(after, etag)
    return after


def _find_model(lineage: Lineage, round_number: int | None) -> ModelRef:
    published = {summary.round: summary.model for summary in lineage.rounds if summary.model is not None}
    if round_number is None and lineage.current is not None:
        return lineage.current
    if round_number in published:
        return published[round_number]
    known = ", ".join(map(str, published)) or "none yet"
    what = "the line has no model yet" if round_number is None else f"round {round_number} published no model"
    raise BadSpecError("round", what, f"Published rounds: {known}.")
