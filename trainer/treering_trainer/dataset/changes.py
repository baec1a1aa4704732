"""What becomes of labels that are no plain boxes: counted picture by picture, told once for a data set.

Counted by `labels` and by the readers in `formats`; `tally` adds up and makes findings.
"""

from __future__ import annotations

from collections.abc import Mapping

from treering_trainer.records import Finding

_TOLD: Mapping[str, tuple[bool, str, str]] = {
    # code: whether something was lost, what happened, what to do
    "OutlineToBox": (False, "outlines (polygons, oriented boxes, ellipses) became the boxes around them", ""),
    "MaskToBox": (False, "masks became the boxes around them", ""),
    "RotatedToBox": (False, "rotated boxes became the upright boxes around them, which are larger", ""),
    "KeypointsDropped": (False, "objects had keypoints, which were left out; their boxes were kept", ""),
    "BoxClipped": (False, "boxes reached beyond the picture and were cut at its edge", ""),
    "HardObjectKept": (False, "objects marked difficult, truncated or occluded are used as any other", ""),
    "CrowdDropped": (True, "crowd or ignore regions were left out: they hold many objects, not one", ""),
    "ShapeDropped": (True, "shapes without an extent (points, lines, brushes, image tags) were left out", ""),
    "OtherSize": (
        True,
        "pictures have another size than their annotations say; boxes were scaled with them",
        "None needed, if the pictures were made smaller or larger as a whole.",
    ),
    "PredictionDropped": (True, "predictions of a model were left out: only what people drew is used", "None needed."),
    "CancelledDropped": (
        True,
        "skipped or older annotations of a picture were left out: the newest one counts",
        "None needed.",
    ),
}
_MEND_LOST = "Draw them as boxes if they should be learned, or take them away."
_MEND_KEPT = "None needed."


def change_findings(changes: Mapping[str, int], name: str) -> list[Finding]:
    """One finding for each kind of change: a warning where something was lost, a remark where a box came of it."""
    return [_finding(code, changes[code], name) for code in _TOLD if changes.get(code)]


def _finding(code: str, count: int, name: str) -> Finding:
    lost, what, mend = _TOLD[code]
    return Finding(
        severity="warning" if lost else "info",
        code=code,
        where=name,
        found=f"{count} {what}",
        mend=mend or (_MEND_LOST if lost else _MEND_KEPT),
    )
