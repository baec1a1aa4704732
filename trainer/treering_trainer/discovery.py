"""Looking for deliveries by itself: which folders of `spec.discover.uri` no round has settled, and how large they are.

Called by the command line in discover's pod. Nothing is pulled, and nothing but the folders' names is held: a delivery
may have millions of objects. Importing this costs no detector.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from treering_api import BadSpecError, Delivery, Discover, Lineage, LookPlan, Spec, StoreError
from treering_api.fields import Name
from treering_trainer.dataset import Recognition
from treering_trainer.line import connect
from treering_trainer.pod import Standing, find_line
from treering_trainer.store import Store, open_store

NAMED = 10
_DIGITS = 16
_NAME = TypeAdapter[str](Name)
_NAMELESS = "a delivery is named by at most 63 lower-case letters, digits, dots and hyphens: rename the folder"


@dataclass(frozen=True)
class Look:
    """What one look saw.

    Args:
        deliveries: in the order of their names.
        passed_over: why the other folders are no deliveries, in words; empty where there are none.
    """

    deliveries: tuple[Delivery, ...]
    passed_over: str


def look(plan: LookPlan, standing: Standing, certificate_authority: Path | None = None) -> Look:
    """Look once into the folder of `spec.discover`.

    Raises:
        BadSpecError: the spec has no `discover`.
        StoreError: the folder or the line's store can't be read.
    """
    discover = plan.spec.discover
    if discover is None:
        raise BadSpecError("spec.discover", "it is not given, so there is nowhere to look", "Give spec.discover.uri")
    lineage, _ = standing.read(find_line(plan.line, plan.spec, certificate_authority))
    try:
        return _look(open_store(discover.uri, connect(plan.spec, certificate_authority)), plan.spec, lineage)
    except StoreError as error:
        error.where = f"spec.discover.uri: {error.where}"
        raise


def measure(store: Store, name: str) -> Delivery:
    """How large the delivery in a folder is, and its digest: another one whenever an object comes, goes or changes."""
    seen, total = Recognition("increment"), 0
    for info in store.at(name).stream():
        seen.see(info.key)
        # A sum, because stores list in different orders
        text = f"{info.key}\0{info.size_bytes}\0{info.etag}"
        total += int.from_bytes(hashlib.sha256(text.encode()).digest()[: _DIGITS // 2])
    return Delivery(name=name, images=seen.pictures(), digest=f"{total % 16**_DIGITS:0{_DIGITS}x}")


def _look(store: Store, spec: Spec, lineage: Lineage) -> Look:
    assert spec.discover is not None
    folders = [name for name in store.folders() if not name.startswith(".")]
    nameless = [name for name in folders if not _is_name(name)]
    known = _known(spec.discover, spec, lineage)
    found = [measure(store, name) for name in folders if name not in known and name not in nameless]
    empty = [delivery.name for delivery in found if not delivery.images]
    remarks = (_remark(nameless, _NAMELESS), _remark(empty, "no picture in it yet"))
    return Look(tuple(item for item in found if item.images), " ".join(remark for remark in remarks if remark))


def _known(discover: Discover, spec: Spec, lineage: Lineage) -> set[str]:
    """Folders that are settled or listed, by name or by URI."""
    items = [*spec.increments, *(item.increment for item in lineage.settled)]
    root = f"{discover.uri.rstrip('/')}/"
    uris = (item.uri.rstrip("/") for item in items)
    return {item.name for item in items} | {uri.removeprefix(root) for uri in uris if uri.startswith(root)}


def _is_name(text: str) -> bool:
    try:
        _NAME.validate_python(text)
    except ValidationError:
        return False
    return True


def _remark(names: Iterable[str], what: str) -> str:
    listed = sorted(names)
    if not listed:
        return ""
    more = f" and {len(listed) - NAMED} more" if len(listed) > NAMED else ""
    return f"Passed over: {', '.join(repr(name) for name in listed[:NAMED])}{more} ({what})."
