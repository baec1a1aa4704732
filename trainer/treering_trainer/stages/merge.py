"""What a merge round trains from: a trunk and the rows of every donor, chosen once and kept in the work folder."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from treering_trainer.records import DonorRecord, MergeRecord
from treering_trainer.stages.donor_names import short_names
from treering_trainer.stages.donors import donors, networks
from treering_trainer.stages.evaluate import EvaluationSet, class_means, evaluation_sets, score
from treering_trainer.stages.models import make_detector
from treering_trainer.stages.workbench import Workbench
from treering_trainer.store import write_atomic
from treering_trainer.yolo.merging import interpolated, merged_start, share_origin
from treering_trainer.yolo.types import DetectionModel
from treering_trainer.yolo.weights import load_model, save_model
from treering_trainer.yolo.yolov5 import AnchorModel

INTERPOLATED = "interpolated"
MERGED = "merged"
RECORD = "merge.json"


@dataclass(frozen=True)
class _Candidate:
    """A network to start from.

    Args:
        rows: donors whose rows of the head fit the layers below.
    """

    name: str
    model: DetectionModel
    rows: tuple[str, ...]


def merged_model(bench: Workbench, names: tuple[str, ...]) -> tuple[DetectionModel, MergeRecord]:
    """The network to start from, and how it came to be; made once, found again by whoever goes on."""
    folder, taken = bench.folder / MERGED, donors(bench)
    if (folder / RECORD).exists():
        record = MergeRecord.model_validate_json((folder / RECORD).read_bytes())
        if [one.sha256 for one in record.donors] == [one.sha256 for one in taken]:
            return load_model(folder), record
    chosen, scores = _choose(bench, names)
    record = MergeRecord(
        trunk=chosen.name,
        reason=_reason(bench, chosen.name, scores),
        scores=scores,
        donors=tuple(
            DonorRecord(
                uri=one.uri, sha256=one.sha256, label=one.label, classes=one.classes, rows_fit=one.uri in chosen.rows
            )
            for one in taken
        ),
    )
    size = bench.plan.spec.model.image_size
    save_model(chosen.model, folder, image_size=size, line=bench.plan.line, round_number=0)
    write_atomic(folder / RECORD, record.model_dump_json(indent=1).encode())
    return chosen.model, record


def fitted_classes(record: MergeRecord) -> tuple[str, ...]:
    """Classes whose rows of the head fit the layers below."""
    return tuple(dict.fromkeys(name for one in record.donors if one.rows_fit for name in one.classes))


def _choose(bench: Workbench, names: tuple[str, ...]) -> tuple[_Candidate, dict[str, float]]:
    candidates = list(_candidates(bench, names))
    if len(candidates) == 1:
        return candidates[0], {}
    sets = [item for item in evaluation_sets(bench, names) if item.kind == "val"]
    if not sets:  # the mean, where there is one: it stands between all donors, and each trunk only by its own
        return next((each for each in candidates if each.name == INTERPOLATED), candidates[0]), {}
    scores = {each.name: _score(bench, each, sets) for each in candidates}
    return max(candidates, key=lambda each: round(scores[each.name], 6)), scores


def _candidates(bench: Workbench, names: tuple[str, ...]) -> Iterator[_Candidate]:
    """The base first: of equal ones the first is taken."""
    model, taken = bench.plan.spec.model, donors(bench)
    found = [
        (one, network)
        for one, network in zip(taken, networks(bench), strict=True)
        if not isinstance(network, AnchorModel)
    ]
    plain = [network for _, network in found]
    seed = bench.plan.spec.training.seed
    kin = [(one, network) for one, network in found if share_origin(plain[0], network)]
    if model.trunk != INTERPOLATED:
        yield _Candidate(taken[0].uri, merged_start(plain[0], plain, names, seed=seed), (taken[0].uri,))
    if model.trunk == "auto":
        for one, network in found[1:]:
            yield _Candidate(one.uri, merged_start(network, plain, names, seed=seed), (one.uri,))
    if model.trunk == INTERPOLATED or (model.trunk == "auto" and len(kin) > 1):
        mean = merged_start(interpolated([network for _, network in kin]), plain, names, seed=seed)
        yield _Candidate(INTERPOLATED, mean, ())


def _score(bench: Workbench, candidate: _Candidate, sets: Sequence[EvaluationSet]) -> float:
    found, _ = score(bench, make_detector(bench, candidate.model), sets, bench.folder / "merged-scores")
    means = [*class_means(found).values()]
    return sum(means) / len(means) if means else 0.0


def _reason(bench: Workbench, trunk: str, scores: dict[str, float]) -> str:
    if bench.plan.spec.model.trunk != "auto":
        return f"spec.model.trunk is {bench.plan.spec.model.trunk}"
    if not scores:
        if trunk == INTERPOLATED:
            return "there is no val picture to compare trunks on, and donors of the base's origin stand near their mean"
        return "there is no other trunk, or no val picture to compare them on"
    names = short_names([name for name in scores if name != INTERPOLATED])
    told = ", ".join(f"{names.get(name, name)} {value:.3f}" for name, value in scores.items())
    return f"of the trunks it scores best before training (mAP50 of all classes on the increments' val: {told})"
