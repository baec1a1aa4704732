"""Cases as files: an increment that waits for its labels, pictures to review, and what labelling tools import.

cases.json                      every case with its reason
increment/                      YOLO layout: unlabelled pictures with the model's boxes as proposals; deliver it once
                                people have corrected them
review/                         YOLO layout: pictures that models are measured on, with the labels they have
increment.cvat.xml review.cvat.xml          CVAT for images 1.1
increment.label-studio.json ...             Label Studio, with the proposals as predictions
label-studio.xml                            its labelling configuration
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path
from xml.etree.ElementTree import Element, ElementTree, SubElement, indent

from treering_trainer.cases.case import Box, Case, CaseList, Chosen

PURPOSES = {"label": "increment", "review": "review"}


def write_cases(cases: CaseList, chosen: Sequence[Chosen], folder: Path) -> None:
    """Write all of it into `folder`; without pictures only cases.json."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "cases.json").write_text(cases.model_dump_json(indent=1) + "\n")
    if not cases.with_pictures:
        return
    for purpose, name in PURPOSES.items():
        mine = _distinct(one for one in chosen if one.case.purpose == purpose)
        if not mine:
            continue
        for one in mine:
            _write_yolo(one, cases.classes, folder / name)
        (folder / name / "names.json").write_text(json.dumps([*cases.classes], ensure_ascii=False) + "\n")
        listed = [one.case for one in mine]
        write_cvat(listed, cases.classes, folder / f"{name}.cvat.xml", name)
        write_label_studio(listed, cases, folder / f"{name}.label-studio.json")
    write_label_config(cases.classes, folder / "label-studio.xml")


def proposals(case: Case) -> tuple[Box, ...]:
    """What stands in the labels at first: people's boxes where there are some, else the model's."""
    return case.truth if case.purpose == "review" else case.found


def write_cvat(cases: Sequence[Case], classes: Sequence[str], path: Path, name: str) -> None:
    """CVAT for images 1.1: `Upload annotations` of a task with the same pictures."""
    root = Element("annotations")
    SubElement(root, "version").text = "1.1"
    task = SubElement(SubElement(root, "meta"), "task")
    SubElement(task, "name").text = name
    SubElement(task, "size").text = str(len(cases))
    labels = SubElement(task, "labels")
    for each in classes:
        label = SubElement(labels, "label")
        SubElement(label, "name").text = each
        SubElement(label, "attributes")
    for number, case in enumerate(cases):
        size = {"width": str(case.width), "height": str(case.height)}
        image = SubElement(root, "image", {"id": str(number), "name": case.picture, **size})
        for kind, x1, y1, x2, y2, confidence in proposals(case):
            corners = {"xtl": x1, "ytl": y1, "xbr": x2, "ybr": y2}
            source = "manual" if confidence is None else "auto"
            told = {"label": kind, "source": source, "occluded": "0", "z_order": "0"}
            SubElement(image, "box", told | {key: f"{value:.4f}" for key, value in corners.items()})
    indent(root)
    ElementTree(root).write(path, encoding="utf-8", xml_declaration=True)


def write_label_studio(cases: Sequence[Case], of: CaseList, path: Path) -> None:
    """Tasks for a local storage that holds the pictures' folder; proposals are predictions, reasons stand beside."""
    tasks = [
        {
            "data": {"image": f"/data/local-files/?d={case.picture}", "kind": case.kind, "reason": case.reason},
            "predictions": [
                {
                    "model_version": f"{of.line} round {of.round}",
                    "score": min((box[5] for box in case.found if box[5] is not None), default=0.0),
                    "result": [_result(number, box, case) for number, box in enumerate(proposals(case))],
                }
            ],
        }
        for case in cases
    ]
    path.write_text(json.dumps(tasks, ensure_ascii=False, indent=1) + "\n")


def write_label_config(classes: Iterable[str], path: Path) -> None:
    """Label Studio's labelling configuration for these classes."""
    view = Element("View")
    SubElement(view, "Text", {"name": "why", "value": "$reason"})
    SubElement(view, "Image", {"name": "image", "value": "$image"})
    labels = SubElement(view, "RectangleLabels", {"name": "label", "toName": "image"})
    for name in classes:
        SubElement(labels, "Label", {"value": name})
    indent(view)
    ElementTree(view).write(path, encoding="utf-8")


def _result(number: int, box: Box, case: Case) -> dict[str, object]:
    name, x1, y1, x2, y2, confidence = box
    across, down = 100 / case.width, 100 / case.height
    found: dict[str, object] = {
        "id": f"b{number}",
        "type": "rectanglelabels",
        "from_name": "label",
        "to_name": "image",
        "original_width": case.width,
        "original_height": case.height,
        "value": {
            "x": x1 * across,
            "y": y1 * down,
            "width": (x2 - x1) * across,
            "height": (y2 - y1) * down,
            "rotation": 0,
            "rectanglelabels": [name],
        },
    }
    return found if confidence is None else found | {"score": confidence}


def _distinct(chosen: Iterable[Chosen]) -> list[Chosen]:
    """A picture may be a case of several kinds."""
    return [*{one.case.sha256: one for one in chosen}.values()]


def _write_yolo(one: Chosen, classes: Sequence[str], folder: Path) -> None:
    case = one.case
    images, labels = folder / "images" / "train", folder / "labels" / "train"
    for place in (images, labels):
        place.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(one.path, images / case.picture)
    rows = []
    for name, x1, y1, x2, y2, _ in proposals(case):
        numbers = (
            (x1 + x2) / 2 / case.width,
            (y1 + y2) / 2 / case.height,
            (x2 - x1) / case.width,
            (y2 - y1) / case.height,
        )
        rows.append(" ".join([str(classes.index(name)), *(f"{value:.6f}" for value in numbers)]))
    (labels / f"{Path(case.picture).stem}.txt").write_text("".join(f"{row}\n" for row in rows))
