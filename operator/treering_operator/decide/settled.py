"""Which increments of a spec are settled: the mirror's counts and digest as names, checked against the list."""

from __future__ import annotations

from typing import Any

from treering_api import BadSpecError, Increment, Lineage, Mirror, Settled, SettledIncrement, Spec, Status

Pair = tuple[str, str]


def settled_fields(status: Status, mirror: Mirror, increments: tuple[Increment, ...]) -> dict[str, Any]:
    """Fields of a status that name what is settled.

    They always agree with the spec: the API server refuses a status whose `settled` the spec does not begin with. Where
    the spec differs from the store, what was written before stays.
    """
    listed = increments[: mirror.settled]
    settled = status.settled[: mirror.settled]
    if len(listed) == mirror.settled and mirror.begins(_pairs(listed)):
        settled = tuple(SettledIncrement(name=increment.name, uri=increment.uri) for increment in listed)
    return {
        "settled": settled,
        "learned": tuple(item.name for place, item in enumerate(settled) if not mirror.was_skipped(place)),
        "skipped": tuple(item.name for place, item in enumerate(settled) if mirror.was_skipped(place)),
    }


def lineage_of(line: str, status: Status, mirror: Mirror, spec: Spec, waiting: tuple[Increment, ...]) -> Lineage:
    """The lineage that the next step is planned from.

    What was settled stands in it as it was trained, so that planning refuses a list that says otherwise.

    Raises:
        BadSpecError: the list does not begin with what is settled, and only the store knows how it should.
    """
    listed = spec.increments[: mirror.settled]
    if len(listed) == mirror.settled and mirror.begins(_pairs(listed)):
        return mirror.lineage(line, spec.increments, waiting)
    known = _trained(status, mirror)
    if known is None:
        raise _unlike(mirror)
    classes = {increment.name: increment.classes for increment in spec.increments}
    settled = tuple(
        Settled(
            increment=Increment.model_construct(name=name, uri=uri, classes=classes.get(name, {})),
            round=max(1, mirror.round),
            outcome="skipped" if mirror.was_skipped(place) else "learned",
        )
        for place, (name, uri) in enumerate(known)
    )
    bare = mirror.model_copy(update={"settled": 0}).lineage(line, spec.increments, waiting)
    return bare.model_copy(update={"settled": settled})


def _trained(status: Status, mirror: Mirror) -> tuple[Pair, ...] | None:
    """The settled ones as they were trained, as far as status and mirror know; None where they don't."""
    before = tuple((item.name, item.uri) for item in status.settled)
    last = () if mirror.last is None else ((mirror.last.name, mirror.last.uri),)
    for known in (before[: mirror.settled], before[: max(0, mirror.settled - 1)] + last):
        if len(known) == mirror.settled and mirror.begins(known):
            return known
    return None


def _pairs(increments: tuple[Increment, ...]) -> tuple[Pair, ...]:
    return tuple((increment.name, increment.uri) for increment in increments)


def _unlike(mirror: Mirror) -> BadSpecError:
    last = "" if mirror.last is None else f", the last of them {mirror.last.name!r} from {mirror.last.uri}"
    count = "1 increment is" if mirror.settled == 1 else f"{mirror.settled} increments are"
    return BadSpecError(
        "spec.increments",
        f"{count} settled in the store{last}, and the list does not begin with them",
        "Put the list back as it was when they were trained (`treering history` shows it), or name another store",
    )
