"""The page of a round's cases: every picture with its boxes and its reason, to be filtered by kind and class.

Called by the export stage; keeps the promises of `pages`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from treering_api import RoundSummary
from treering_trainer.cases.case import KINDS, Box, Case, CaseList, Kind
from treering_trainer.records import ImageScore
from treering_trainer.report import drawing, history
from treering_trainer.report.matching import read_image
from treering_trainer.report.pages import render
from treering_trainer.report.pictures import MAX_SIDE_PX, drawn_uri

TITLES: Mapping[Kind, tuple[str, str, str]] = {
    "missed": ("Missed", "an object that people marked and the model did not find", "review"),
    "falseAlarm": (
        "False alarm",
        "a box where nobody marked an object: an error, or a label that is missing",
        "review",
    ),
    "confusion": ("Confusion", "an object that was called by another class's name", "review"),
    "lowAgreement": ("Disagreement", "the model and the one before it see different things", "review"),
    "uncertain": ("Uncertain", "unlabelled; the model can't tell whether there is an object", "labelling"),
}


@dataclass(frozen=True)
class KindRow:
    """One kind in the page's table."""

    name: Kind
    title: str
    meaning: str
    purpose: str
    count: int


@dataclass(frozen=True)
class CasePicture:
    """One case on the page; `keys` are what the page can filter by."""

    case: Case
    title: str
    keys: tuple[str, ...]
    data_uri: str | None
    width: int
    height: int


def render_cases(cases: CaseList, paths: Mapping[str, Path], rounds: Sequence[RoundSummary]) -> str:
    """The page.

    Args:
        paths: of pictures on this machine, by SHA-256; a case without one is told without its picture.
        rounds: those before it, for the tree's section at the head.
    """
    counts = cases.counts()
    return render(
        "cases.html",
        title=f"Cases of round {cases.round}, {cases.line}",
        round_page="../report.html",
        cases=cases,
        kinds=[KindRow(kind, *TITLES[kind], counts[kind]) for kind in KINDS],
        pictures=[_picture(case, cases, paths.get(case.sha256)) for case in cases.cases],
        truth_colour=drawing.TRUTH_COLOUR,
        prediction_colour=drawing.PREDICTION_COLOUR,
        rings=history.rings(rounds),
    )


def _picture(case: Case, cases: CaseList, path: Path | None) -> CasePicture:
    score = ImageScore(
        name=case.picture,
        path=str(path or ""),
        precision=0.0,
        recall=0.0,
        f1=0.0,
        truth=tuple((name, x1, y1, x2, y2) for name, x1, y1, x2, y2, _ in case.truth),
        predictions=tuple(_prediction(box) for box in case.found),
    )
    shown = drawn_uri(path, read_image(score, cases.confidence)) if path and cases.with_pictures else None
    data_uri, width, height = shown or (None, MAX_SIDE_PX, MAX_SIDE_PX * 3 // 4)
    classes = [f"c{at}" for at, name in enumerate(cases.classes) if name in case.classes]
    return CasePicture(case, TITLES[case.kind][0], (f"k-{case.kind}", *classes), data_uri, width, height)


def _prediction(box: Box) -> tuple[str, float, float, float, float, float]:
    name, x1, y1, x2, y2, confidence = box
    return name, confidence or 0.0, x1, y1, x2, y2
