"""What a person wants to be told once: the texts and keys of a line's Events.

A key names the happening, never the moment it was seen: deciding twice tells nothing twice.
"""

from __future__ import annotations

from treering_api import Reason, RoundPlan, RoundResult
from treering_operator.actions import Notice
from treering_operator.decide.ending import Ending, why_it_ended
from treering_operator.decide.reading import Line
from treering_operator.decide.wording import counted, cut, listed
from treering_operator.observed import JobView, PodView, Termination

_LENGTH = 1000


def round_started(line: Line, job: str, plan: RoundPlan) -> Notice:
    """A round's Job was made."""
    names = listed(increment.name for increment in plan.increments)
    text = f"Round {plan.round} learns {names} in the Job {job}: {plan.reason}"
    return _notice(False, "RoundStarted", text, line, job)


def rollback_started(line: Line, job: str, to: int) -> Notice:
    """The Job that goes back was made."""
    return _notice(
        False, "RollingBack", f"The model of round {to} becomes the line's model in the Job {job}", line, job
    )


def round_settled(line: Line, ending: Ending, result: RoundResult) -> Notice:
    """A round was published or rejected, or the line went back."""
    reason = {"published": "RoundPublished", "rejected": "RoundRejected"}.get(result.verdict, "RolledBack")
    told = f": {result.message}" if result.message else ""
    if reason == "RolledBack":
        text = f"The model of round {ending.job.number} is the line's model again{told}"
    else:
        text = f"Round {result.round or ending.job.number} was {result.verdict}{told}"
    return _notice(result.verdict == "rejected", reason, text, line, ending.job.uid)


def exports_left_out(line: Line, ending: Ending, result: RoundResult) -> Notice | None:
    """Further formats that could not be made or answer too differently; None where there are none."""
    failed = [f"{item.name} ({item.reason or 'see the report'})" for item in result.exports if not item.passed]
    if not failed:
        return None
    text = f"Round {result.round} was published without {'; '.join(failed)}"
    return _notice(True, "ExportLeftOut", text, line, ending.job.uid)


def held(line: Line, ending: Ending, reason: str) -> Notice:
    """Nothing is learned until a person decides."""
    return _notice(True, "Held", reason, line, ending.job.uid)


def round_failed(line: Line, ending: Ending) -> Notice:
    """A Job ended for good without a verdict."""
    what = "Round" if ending.job.kind == "round" else "Going back to round"
    where = f"{ending.where}: " if ending.where else ""
    text = f"{what} {ending.job.number} failed ({ending.reason}): {where}{ending.message}"
    return _notice(
        True, Reason.BAD_SPEC if ending.reason == Reason.BAD_SPEC else "RoundFailed", text, line, ending.job.uid
    )


def adopted(line: Line, ending: Ending, round_: int) -> Notice:
    """The store knew more than the status."""
    text = f"The line's folder in the store is at round {round_}: taken over from there"
    return _notice(False, "Adopted", text, line, ending.job.uid)


def moved(line: Line, before: str) -> Notice:
    """The line has another store now."""
    text = f"The line moved from {before} to {line.store}: it goes on from what lies there"
    return _notice(False, "Moved", text, line, str(line.generation))


def interrupted(line: Line, job: JobView, pod: PodView, termination: Termination) -> Notice:
    """A pod ended and another one goes on."""
    text = f"A pod of round {job.number} ended and is replaced: {why_it_ended(termination, line.name)}"
    return _notice(True, "RoundInterrupted", text, line, pod.uid)


def unschedulable(line: Line, job: JobView, message: str) -> Notice:
    """No node takes the pod."""
    return _notice(True, "Unschedulable", f"No node takes the pod of {job.name}: {message}", line, job.uid)


def suspended(line: Line, now: bool) -> Notice:
    """The line was suspended, or goes on."""
    text = "Suspended by spec.suspend: no round starts" if now else "The line goes on: spec.suspend is false again"
    return _notice(False, "Suspended" if now else "Resumed", text, line, str(line.generation))


def bad_spec(line: Line, message: str) -> Notice:
    """The spec can't be used."""
    return _notice(True, "BadSpec", message, line, str(line.generation))


def deliveries_found(line: Line, look: int, names: list[str], images: int) -> Notice:
    """A look saw deliveries that were not there before."""
    verb = "was" if len(names) == 1 else "were"
    found = f"{counted(len(names), 'delivery')} with {counted(images, 'image')}"
    return _notice(False, "DeliveriesFound", f"{found} {verb} found: {listed(names)}", line, str(look))


def _notice(warning: bool, reason: str, message: str, line: Line, about: str) -> Notice:
    return Notice(warning=warning, reason=reason, message=cut(message, _LENGTH), key=f"{line.uid}:{reason}:{about}")
