"""From model files to a fused detector: opened, straightened on labelled pictures, written, proven, measured.

`treering fuse` calls it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from treering_api import BadSpecError
from treering_trainer.dataset import DataSet
from treering_trainer.yolo.detector import YoloDetector, on_processor
from treering_trainer.yolo.donor import Donor, open_donor
from treering_trainer.yolo.fusion.artefact import GRAPH, build_network, save_fused
from treering_trainer.yolo.fusion.calibration import FAINTEST, Judged, best_thresholds, judge, straighten
from treering_trainer.yolo.fusion.description import MOST_MEMBERS, FusedDescription, Member, Method
from treering_trainer.yolo.fusion.measuring import Row, Work, measure, prove_graph, remapped
from treering_trainer.yolo.fusion.network import OWN_OVERLAP, FusedNetwork, Network
from treering_trainer.yolo.new_folder import labelled_data, new_folder, refuse_image_size, refuse_place

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Source:
    """A model to fuse.

    Args:
        path: a model file of anywhere, or the folder of a published round.
        taken: its own names of the classes that are taken; empty: all.
        renamed: its own name of a class → the name in the fused detector, where it is another.
        weight: of its word beside the others', above 0.
    """

    path: Path
    taken: tuple[str, ...] = ()
    renamed: Mapping[str, str] = field(default_factory=dict)
    weight: float = 1.0


@dataclass(frozen=True)
class Wanted:
    """How to fuse, and what to measure on.

    Args:
        image_size: pixels, a multiple of 32, 64 to 2048; None takes the largest of the members' trainings.
        calibration: folders in YOLO layout on whose train and val pictures confidences are straightened; each speaks of
            the classes in its names.
        data: folders in YOLO layout on whose pictures mAP is measured; none of them should be for calibration, too.
        thresholds: by fused class; `best`: where F1 is best on the calibration's pictures.
        beside: a further model to measure beside, such as the one that merges the same classes.
    """

    method: Method = "wbf"
    overlap: float = 0.55
    sigma: float = 0.5
    rival_overlap: float | None = 0.55
    image_size: int | None = None
    calibration: tuple[Path, ...] = ()
    data: tuple[Path, ...] = ()
    thresholds: Mapping[str, float] | Literal["best"] = field(default_factory=dict)
    beside: Path | None = None


@dataclass(frozen=True)
class Fusion:
    """What was made.

    Args:
        rows: members, the fused detector in Python and as a graph, and what was asked for beside.
        difference: largest between Python's and the graph's output: pixels of a box, confidences.
        proven_on: pictures that both have seen.
        remarks: sentences about what could not be measured.
    """

    description: FusedDescription
    rows: tuple[Row, ...]
    difference: float
    proven_on: int
    remarks: tuple[str, ...]


def fuse(sources: Sequence[Source], out: Path, wanted: Wanted, tell: Tell) -> Fusion:
    """Write the fused detector of `sources` into the new folder `out`; the originals are only read.

    Raises:
        BadSpecError: `out` can't be taken, a file is no detector, or classes, weights or thresholds don't fit.
        BadDataError: the data can't be used.
    """
    if not 2 <= len(sources) <= MOST_MEMBERS:
        raise BadSpecError("FILE", f"{len(sources)} given", f"Give 2 to {MOST_MEMBERS} models to fuse.")
    refuse_image_size(wanted.image_size)
    refuse_place(out)
    calibration, datasets = (
        [labelled_data(folder) for folder in folders] for folders in (wanted.calibration, wanted.data)
    )
    found = []
    for place, source in enumerate(sources, 1):
        tell(f"reading {source.path}, in a process without network")
        found.append(open_donor(source.path, shown_as=str(source.path), field=f"FILE {place}"))
    networks = [one.network for one in found]
    image_size = wanted.image_size or max(one.image_size for one in found)
    description = _describe(sources, found, image_size, wanted)
    remarks: list[str] = []
    if calibration:
        tell("straightening confidences")
        description = _straightened(description, networks, calibration, remarks)
    thresholds = _thresholds(description, networks, calibration, wanted)
    description = description.model_copy(update={"thresholds": thresholds})
    with new_folder(out) as partial:
        tell("writing weights and graph")
        network = save_fused(networks, description, partial)
        samples = [sample for dataset in (*datasets, *calibration) for sample in dataset.val]
        tell("comparing the graph with the network")
        difference, pictures = prove_graph(network, partial / GRAPH, samples)
        work = _works(sources, networks, network, (out.name, partial), wanted)
        rows = measure(work, datasets, image_size, tell)
    return Fusion(description, rows, difference, pictures, tuple(remarks))


def _describe(sources: Sequence[Source], found: Sequence[Donor], image_size: int, wanted: Wanted) -> FusedDescription:
    members = tuple(
        Member(
            folder=f"member-{place}",
            source=source.path.name,
            sha256=one.sha256,
            classes=_classes(source, one.names, f"FILE {place}"),
            weight=source.weight,
        )
        for place, (source, one) in enumerate(zip(sources, found, strict=True), 1)
    )
    return FusedDescription(
        image_size=image_size,
        classes=tuple(dict.fromkeys(name for member in members for name in member.classes.values())),
        members=members,
        method=wanted.method,
        overlap=wanted.overlap,
        sigma=wanted.sigma,
        rival_overlap=wanted.rival_overlap,
    )


def _classes(source: Source, names: tuple[str, ...], where: str) -> dict[str, str]:
    for name in (*source.taken, *source.renamed):
        if name not in names:
            raise BadSpecError(
                where,
                f"{source.path} has no class {name!r}; it knows {', '.join(names[:20])}",
                "Name one of its own classes.",
            )
    taken = [name for name in names if name in (source.taken or names)]
    classes = {name: source.renamed.get(name, name) for name in taken}
    if len(set(classes.values())) < len(classes):
        twice = next(name for name in classes.values() if [*classes.values()].count(name) > 1)
        raise BadSpecError(where, f"two of its classes would be called {twice!r}", "Rename one of them otherwise.")
    return classes


def _straightened(
    description: FusedDescription, networks: Sequence[Network], datasets: Sequence[DataSet], remarks: list[str]
) -> FusedDescription:
    members = []
    for member, each in zip(description.members, networks, strict=True):
        judged = _judge(on_processor(each, description.image_size), member.classes, datasets)
        fitted = straighten(judged)
        left = [name for name in member.classes if name not in fitted]
        if left:
            remarks.append(
                f"{member.source}: confidences of {', '.join(left)} are as they were, since the pictures show too few "
                "right or wrong boxes of them."
            )
        members.append(member.model_copy(update={"straightened": fitted}))
    return description.model_copy(update={"members": tuple(members)})


def _thresholds(
    description: FusedDescription, networks: Sequence[Network], datasets: Sequence[DataSet], wanted: Wanted
) -> dict[str, float]:
    if wanted.thresholds == "best":
        if not datasets:
            raise BadSpecError(
                "--threshold", "best, but there are no pictures to find it on", "Give --calibration, too."
            )
        detector = on_processor(build_network(networks, description), description.image_size)
        judged = _judge(detector, {name: name for name in description.classes}, datasets)
        return best_thresholds(judged)
    for name in wanted.thresholds:
        if name not in description.classes:
            raise BadSpecError(
                "--threshold",
                f"no class is called {name!r}; there are {', '.join(description.classes[:20])}",
                "Name a class of the fused detector.",
            )
    return dict(wanted.thresholds)


def _judge(detector: YoloDetector, classes: Mapping[str, str], datasets: Sequence[DataSet]) -> dict[str, Judged]:
    """A detector's boxes beside the truth, by its own class names; a data set counts for the classes it names.

    Args:
        classes: own name → fused name of those that count.
    """
    found: dict[str, list[Judged]] = {}
    for dataset in datasets:
        spoken = {own: fused for own, fused in classes.items() if fused in dataset.names}
        samples = remapped(dataset, detector.names, spoken)
        rows = detector.detect(samples, confidence=FAINTEST, overlap=OWN_OVERLAP)
        for name, judged in judge(detector.names, samples, rows).items():
            if name in spoken:
                found.setdefault(name, []).append(judged)
    return {name: Judged.joined(parts) for name, parts in found.items()}


def _works(
    sources: Sequence[Source],
    networks: Sequence[Network],
    network: FusedNetwork,
    place: tuple[str, Path],
    wanted: Wanted,
) -> list[Work]:
    description, (name, folder) = network.description, place
    size = description.image_size
    works = [
        Work(source.path.name, "member", on_processor(each, size), member.classes, _size(source.path))
        for source, each, member in zip(sources, networks, description.members, strict=True)
    ]
    own = {name: name for name in description.classes}
    open_network = build_network(networks, description.model_copy(update={"thresholds": {}}))
    weights_bytes = _size(folder) - _size(folder / GRAPH)
    works.append(Work(name, "fused", on_processor(open_network, description.image_size), own, weights_bytes))
    works.append(Work(GRAPH, "graph", None, own, _size(folder / GRAPH), graph=folder / GRAPH))
    if wanted.beside is not None:
        beside = open_donor(wanted.beside, shown_as=str(wanted.beside), field="--beside").network
        detector = on_processor(beside, description.image_size)
        known = {name: name for name in detector.names if name in own}
        works.append(Work(wanted.beside.name, "beside", detector, known, _size(wanted.beside)))
    return works


def _size(path: Path) -> int:
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    return sum(file.stat().st_size for file in files)
