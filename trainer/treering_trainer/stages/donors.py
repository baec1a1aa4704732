"""The donors of a merge round: opened by `fetch`, asked together as the teacher, compared with by `evaluate`.

A merge round is an incremental one whose old model is several: the base and every donor, each for its classes. As one
fused detector they label the pictures for one another; the network to start from has the rows of all.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from treering_api import BadSpecError
from treering_trainer.stages.donor_names import short_names
from treering_trainer.stages.weights import fetch_weights, weights_path
from treering_trainer.stages.workbench import Workbench
from treering_trainer.store import Pulled, write_atomic
from treering_trainer.yolo.donor import Donor, keep_network, kept_network, open_donor
from treering_trainer.yolo.foreign import fetch_official
from treering_trainer.yolo.fusion.artefact import build_network
from treering_trainer.yolo.fusion.description import FusedDescription, Member
from treering_trainer.yolo.fusion.network import FusedNetwork, Network
from treering_trainer.yolo.merging import share_origin
from treering_trainer.yolo.yolov5 import AnchorModel

TRUNK_MEND = "Give a detection model of the ultralytics package, or an original YOLOv9, as the base."


@dataclass(frozen=True)
class Taken:
    """One of the models that are merged; the base is the first.

    Args:
        field: what names it.
        classes: that are taken from it, in its order.
        sha256: of its file; of an official name, the name.
        label: its kind, for people.
    """

    uri: str
    field: str
    classes: tuple[str, ...]
    sha256: str
    label: str


def fetch_donors(bench: Workbench) -> list[Pulled]:
    """Pull and open every model of a merge round, and write down what is taken of it.

    Raises:
        BadSpecError: a file is no detector, or lacks a class that is named; names its field.
        StoreError: it can't be read.
    """
    pulled: list[Pulled] = []
    taken: list[Taken] = []
    for asked in _asked(bench):
        if "://" in asked.uri:
            path = weights_path(bench, "donors", asked.uri)
            pulled.append(fetch_weights(bench, asked.uri, path, asked.field))
        else:
            path = fetch_official(asked.uri, bench.shared / "models" / "official")
        donor = open_donor(path, shown_as=asked.uri, field=asked.field)
        if not taken and donor.growable is None:
            raise BadSpecError(asked.field, f"{asked.uri} predicts by anchors and can't be grown", TRUNK_MEND)
        taken.append(Taken(asked.uri, asked.field, _classes(donor, asked), donor.sha256, donor.label))
        if not _kept(bench, taken[-1]).exists():
            _keep(bench, donor, taken[-1])
    if bench.plan.spec.model.trunk == "interpolated":
        _refuse_strangers(_opened(bench, taken))
    write_atomic(bench.donors_path, json.dumps([asdict(one) for one in taken], indent=1).encode())
    return pulled


def donors(bench: Workbench) -> tuple[Taken, ...]:
    """What `fetch_donors` wrote down."""
    found = json.loads(bench.donors_path.read_bytes())
    return tuple(Taken(**{**one, "classes": tuple(one["classes"])}) for one in found)


def donor_stamps(bench: Workbench) -> dict[str, str]:
    """By donor, what changes with its weights."""
    return {f"donor/{one.uri}": one.sha256 for one in donors(bench)}


def networks(bench: Workbench) -> list[Network]:
    """The donors' networks, in their order, on the processor."""
    return _opened(bench, donors(bench))


def _opened(bench: Workbench, taken: Sequence[Taken]) -> list[Network]:
    return [kept_network(_kept(bench, one)) for one in taken]


def team_network(bench: Workbench) -> FusedNetwork:
    """All donors as one network: where two boxes lie on one another, the surer one of those that know better wins."""
    found = donors(bench)
    names = short_names([one.uri for one in found])
    members = tuple(
        Member(
            folder=f"member-{place}",
            source=names[one.uri],
            sha256=one.sha256,
            classes={name: name for name in one.classes},
        )
        for place, one in enumerate(found, 1)
    )
    size = bench.plan.spec.model.image_size
    description = FusedDescription(image_size=size, classes=bench.known_classes, members=members)
    return build_network(networks(bench), description)


def donor_networks(bench: Workbench) -> Iterator[tuple[Taken, Network]]:
    """One after the other, so that only one is in memory."""
    for one in donors(bench):
        yield one, kept_network(_kept(bench, one))


@dataclass(frozen=True)
class _Asked:
    """A model as the spec names it."""

    uri: str
    field: str
    classes_field: str
    classes: tuple[str, ...]


def _asked(bench: Workbench) -> Iterator[_Asked]:
    model = bench.plan.spec.model
    if model.from_scratch:
        raise BadSpecError("spec.model.base", f"{model.base} has no weights to merge the donors with", TRUNK_MEND)
    yield _Asked(model.base, "spec.model.base", "spec.model.classes", model.classes)
    for place, donor in enumerate(model.donors):
        field = f"spec.model.donors[{place}]"
        yield _Asked(donor.uri, f"{field}.uri", f"{field}.classes", donor.classes)


def _refuse_strangers(found: Sequence[Network]) -> None:
    """A mean of the base alone would be the base by another name."""
    base, *others = found
    assert not isinstance(base, AnchorModel)
    if not any(share_origin(base, other) for other in others if not isinstance(other, AnchorModel)):
        raise BadSpecError(
            "spec.model.trunk",
            "interpolated, but no donor has the base's architecture and was trained from the same weights",
            "Say auto or base.",
        )


def _classes(donor: Donor, asked: _Asked) -> tuple[str, ...]:
    missing = [name for name in asked.classes if name not in donor.names]
    if missing:
        raise BadSpecError(
            asked.classes_field,
            f"{asked.uri} has no class {missing[0]!r}; it knows {', '.join(donor.names[:20])}",
            "Name classes as the model does; they become the line's.",
        )
    return tuple(name for name in donor.names if name in (asked.classes or donor.names))


def _kept(bench: Workbench, one: Taken) -> Path:
    return bench.shared / "models" / "donors" / one.sha256[:16]


def _keep(bench: Workbench, donor: Donor, one: Taken) -> None:
    """Whole, or not at all."""
    folder = _kept(bench, one)
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    keep_network(donor.network, partial, image_size=donor.image_size)
    partial.rename(folder)
