"""Deliveries that looks found: which are new, which still grow, which count, and what is missing, in words."""

from __future__ import annotations

from datetime import datetime

from treering_api import Discovered, Discovery, LookResult, Spec
from treering_api.fields import URI_LENGTH
from treering_operator.decide.salvage import salvage
from treering_operator.decide.wording import counted, listed, moment


def take_found(
    before: Discovery, result: LookResult, spec: Spec, seen: datetime
) -> tuple[Discovery, tuple[list[str], int]]:
    """Discovery after a look, and what it saw for the first time: names and their images."""
    assert spec.discover is not None, "only lines that discover look"
    folder = spec.discover.uri.rstrip("/")
    known = {item.name: item for item in before.deliveries if item.uri == f"{folder}/{item.name}"}
    found: dict[str, Discovered] = {}
    for delivery in sorted(result.deliveries, key=lambda item: item.name):
        old = known.get(delivery.name)
        item = salvage(
            Discovered,
            {
                "name": delivery.name,
                "uri": f"{folder}/{delivery.name}",
                "images": delivery.images,
                "digest": delivery.digest,
                "complete": old is not None and old.digest == delivery.digest,
                "found": old.found if old is not None and old.found else moment(seen),
            },
        )
        if item is not None:  # a name that makes too long a URI can't be learned from
            found[item.name] = item
    new = [item for name, item in found.items() if name not in known]
    update = {"deliveries": tuple(found.values()), "more": result.more, "failure": ""}
    return before.model_copy(update=update), ([item.name for item in new], sum(item.images for item in new))


def usable(discovery: Discovery, spec: Spec) -> tuple[Discovered, ...]:
    """Deliveries that a round could learn: whole, not empty, in today's folder, with a name of their own."""
    assert spec.discover is not None, "only lines that discover have deliveries"
    folder = spec.discover.uri.rstrip("/")
    taken = {increment.name for increment in spec.increments}
    return tuple(
        item
        for item in discovery.deliveries
        if item.complete
        and item.images > 0
        and item.name not in taken
        and item.uri == f"{folder}/{item.name}"
        and len(item.uri) <= URI_LENGTH
    )


def words_of_waiting(
    discovery: Discovery, spec: Spec, waiting: tuple[Discovered, ...], patience_ends: datetime | None, *, is_due: bool
) -> str:
    """What is missing before a round starts; empty where nothing is and nothing odd lies there."""
    assert spec.discover is not None, "only lines that discover wait for deliveries"
    sentences: list[str] = []
    images = sum(item.images for item in waiting)
    missing = spec.discover.min_images - images
    if waiting and not is_due:
        ends = f", or waits until {moment(patience_ends)} (maxWait)" if patience_ends else ""
        sentences.append(
            f"{counted(images, 'image')} in {counted(len(waiting), 'delivery')} here, "
            f"{missing} more needed (minImages){ends}"
        )
    growing = [item.name for item in discovery.deliveries if not item.complete]
    if growing:
        sentences.append(f"to be seen unchanged by one more look: {listed(growing)}")
    taken = {increment.name for increment in spec.increments}
    clashing = [item.name for item in discovery.deliveries if item.name in taken]
    if clashing:
        sentences.append(f"passed over, because increments of the spec have the same names: {listed(clashing)}")
    empty = [item.name for item in discovery.deliveries if item.complete and not item.images]
    if empty:
        sentences.append(f"without an image: {listed(empty)}")
    if discovery.more:
        sentences.append(f"{counted(discovery.more, 'delivery')} more after these")
    return "; ".join(sentences)
