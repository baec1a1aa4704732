"""One small data set, written as each tool exports it: the same pictures, the same boxes."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

NAMES = ("ace", "king")
WIDTH, HEIGHT = 200, 120


@dataclass(frozen=True)
class Drawn:
    """A picture: split, stem, and its boxes as (class, left, top, right, bottom) in pixels."""

    split: str
    stem: str
    boxes: tuple[tuple[int, float, float, float, float], ...]


DRAWN = (
    Drawn("train", "a", ((0, 10, 12, 60, 72), (1, 100.5, 20.25, 180, 110))),
    Drawn("train", "b", ((1, 0, 0, 200, 120),)),
    Drawn("train", "empty", ()),
    Drawn("val", "v", ((0, 33, 44, 77, 88),)),
)


def paint(path: Path, stem: str) -> None:
    """The picture of a stem: always the same bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    cells = np.random.default_rng([*stem.encode()]).integers(0, 256, (6, 10, 3), dtype=np.uint8)
    Image.fromarray(cells).resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC).save(path)


def put(path: Path, content: object) -> None:
    """Write text, or anything else as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")


def shares(left: float, top: float, right: float, bottom: float) -> str:
    """A box as YOLO writes it."""
    return (
        f"{(left + right) / 2 / WIDTH} {(top + bottom) / 2 / HEIGHT} {(right - left) / WIDTH} {(bottom - top) / HEIGHT}"
    )


def rows(drawn: Drawn) -> str:
    """A label file."""
    return "".join(f"{index} {shares(*corners)}\n" for index, *corners in drawn.boxes)


def yolo(root: Path) -> None:
    """The YOLO layout."""
    put(root / "names.json", [*NAMES])
    for item in DRAWN:
        paint(root / f"images/{item.split}/{item.stem}.png", item.stem)
        put(root / f"labels/{item.split}/{item.stem}.txt", rows(item))


def yolo_outlines(root: Path) -> None:
    """Rows of segments, as ultralytics and Roboflow write them; a rectangle's four corners is an oriented box, too."""
    yolo(root)
    for item in DRAWN:
        text = ""
        for index, left, top, right, bottom in item.boxes:
            x1, y1, x2, y2 = left / WIDTH, top / HEIGHT, right / WIDTH, bottom / HEIGHT
            text += f"{index} {x1} {y1} {x2} {y1} {x2} {y2} {x1} {y2} {x1} {(y1 + y2) / 2}\n"
        put(root / f"labels/{item.split}/{item.stem}.txt", text)


def roboflow_yolo(root: Path) -> None:
    """Roboflow's YOLO export."""
    put(root / "README.roboflow.txt", "cards - v1\n")
    put(root / "data.yaml", f"train: ../train/images\nval: ../valid/images\nnc: 2\nnames: {[*NAMES]}\n")
    for item in DRAWN:
        folder = "valid" if item.split == "val" else "train"
        paint(root / f"{folder}/images/{item.stem}.png", item.stem)
        put(root / f"{folder}/labels/{item.stem}.txt", rows(item))


def cvat_yolo(root: Path) -> None:
    """CVAT's `YOLO 1.1`."""
    put(root / "obj.data", "classes = 2\ntrain = data/train.txt\nnames = data/obj.names\nbackup = backup/\n")
    put(root / "obj.names", "ace\nking\n")
    for item in DRAWN:
        folder = "obj_valid_data" if item.split == "val" else "obj_train_data"
        paint(root / folder / f"{item.stem}.png", item.stem)
        put(root / folder / f"{item.stem}.txt", rows(item))
    put(root / "train.txt", "data/obj_train_data/a.png\n")


def coco_document(items: list[Drawn], prefix: str = "") -> dict[str, object]:
    """A COCO file; category ids have gaps and run against the names' order in the alphabet."""
    images = [
        {"id": 40 + n, "file_name": f"{prefix}{item.stem}.png", "width": WIDTH, "height": HEIGHT}
        for n, item in enumerate(items)
    ]
    annotations = [
        {"id": 9, "image_id": 40 + n, "category_id": (3, 17)[i], "iscrowd": 0, "segmentation": [], "area": 1.0,
         "bbox": [left, top, right - left, bottom - top]}
        for n, item in enumerate(items)
        for i, left, top, right, bottom in item.boxes
    ]  # fmt: skip
    categories = [{"id": 17, "name": "king", "supercategory": ""}, {"id": 3, "name": "ace", "supercategory": ""}]
    return {"licenses": [], "info": {}, "images": images, "annotations": annotations, "categories": categories}


def coco(root: Path) -> None:
    """COCO 2017's places."""
    for split in ("train", "val"):
        items = [item for item in DRAWN if item.split == split]
        put(root / f"annotations/instances_{split}2017.json", coco_document(items))
        for item in items:
            paint(root / f"{split}2017/{item.stem}.png", item.stem)
    put(root / "annotations/captions_train2017.json", coco_document([]))


def roboflow_coco(root: Path) -> None:
    """Roboflow's COCO export, with the group that it lists as category 0."""
    for split, folder in (("train", "train"), ("val", "valid")):
        items = [item for item in DRAWN if item.split == split]
        document = coco_document(items)
        document["categories"] = [
            {"id": 0, "name": "cards", "supercategory": "none"},
            {"id": 3, "name": "ace", "supercategory": "cards"},
            {"id": 17, "name": "king", "supercategory": "cards"},
        ]
        put(root / folder / "_annotations.coco.json", document)
        for item in items:
            paint(root / folder / f"{item.stem}.png", item.stem)


def cvat_coco(root: Path) -> None:
    """CVAT's COCO export of a project with subsets."""
    for split in ("train", "val"):
        items = [item for item in DRAWN if item.split == split]
        put(root / f"annotations/instances_{split}.json", coco_document(items))
        for item in items:
            paint(root / f"images/{split}/{item.stem}.png", item.stem)


def voc_text(item: Drawn, extra: str = "") -> str:
    """A VOC file."""
    objects = "".join(
        f"<object><name>{NAMES[i]}</name><pose>Unspecified</pose><truncated>0</truncated><difficult>0</difficult>"
        f"<bndbox><xmin>{left}</xmin><ymin>{top}</ymin><xmax>{right}</xmax><ymax>{bottom}</ymax></bndbox></object>"
        for i, left, top, right, bottom in item.boxes
    )
    size = f"<size><width>{WIDTH}</width><height>{HEIGHT}</height><depth>3</depth></size>"
    return (
        f"<annotation><folder>x</folder><filename>{item.stem}.png</filename><path>C:\\Users\\me\\{item.stem}.png</path>"
        f"<source><database>Unknown</database></source>{size}<segmented>0</segmented>{objects}{extra}</annotation>"
    )


def voc(root: Path) -> None:
    """Pascal VOC's own places."""
    for item in DRAWN:
        paint(root / f"JPEGImages/{item.stem}.png", item.stem)
        put(root / f"Annotations/{item.stem}.xml", voc_text(item))
    put(root / "ImageSets/Main/train.txt", "a\nb\nempty\n")
    put(root / "ImageSets/Main/val.txt", "v\n")
    put(root / "ImageSets/Main/trainval.txt", "a\nb\nempty\nv\n")
    put(root / "ImageSets/Main/ace_train.txt", "a  1\nb -1\n")
    put(root / "labelmap.txt", "# label:color_rgb:parts:actions\nace:0,0,0::\n")


def roboflow_voc(root: Path) -> None:
    """Roboflow's VOC export: the file lies beside the picture."""
    for item in DRAWN:
        folder = "valid" if item.split == "val" else "train"
        paint(root / folder / f"{item.stem}.png", item.stem)
        put(root / folder / f"{item.stem}.xml", voc_text(item))


def cvat(root: Path) -> None:
    """CVAT for images 1.1, a project with subsets."""
    images = ""
    for n, item in enumerate(DRAWN):
        subset = "Validation" if item.split == "val" else "Train"
        boxes = "".join(
            f'<box label="{NAMES[i]}" source="manual" occluded="0" xtl="{left:.2f}" ytl="{top:.2f}" xbr="{right:.2f}" '
            f'ybr="{bottom:.2f}" z_order="0"><attribute name="a">1</attribute></box>'
            for i, left, top, right, bottom in item.boxes
        )
        about = f'id="{n}" name="{item.stem}.png" subset="{subset}" width="{WIDTH}" height="{HEIGHT}"'
        images += f"<image {about}>{boxes}</image>"
        paint(root / f"images/{subset}/{item.stem}.png", item.stem)
    labels = "".join(f"<label><name>{name}</name><color>#fa3253</color><attributes/></label>" for name in NAMES)
    meta = f"<meta><project><id>1</id><labels>{labels}</labels></project><dumped>2026-01-01</dumped></meta>"
    put(
        root / "annotations.xml",
        f'<?xml version="1.0" encoding="utf-8"?>\n<annotations><version>1.1</version>{meta}{images}</annotations>',
    )


def _regions(item: Drawn) -> list[dict[str, object]]:
    return [
        {"id": f"r{n}", "x": left / WIDTH * 100, "y": top / HEIGHT * 100, "width": (right - left) / WIDTH * 100,
         "height": (bottom - top) / HEIGHT * 100, "rotation": 0, "rectanglelabels": [NAMES[i]],
         "original_width": WIDTH, "original_height": HEIGHT}
        for n, (i, left, top, right, bottom) in enumerate(item.boxes)
    ]  # fmt: skip


def _value(region: dict[str, object]) -> dict[str, object]:
    return {name: value for name, value in region.items() if name != "id" and not name.startswith("original")}


def label_studio(root: Path) -> None:
    """Label Studio's JSON; the splits are folders, as it has none."""
    tasks = []
    for n, item in enumerate(DRAWN):
        paint(root / f"images/{item.split}/0a1b2c3d-{item.stem}.png", item.stem)
        result = [
            {"id": region["id"], "type": "rectanglelabels", "from_name": "label", "to_name": "image",
             "image_rotation": 0, "original_width": WIDTH, "original_height": HEIGHT, "origin": "manual",
             "value": _value(region)}
            for region in _regions(item)
        ]  # fmt: skip
        annotations = [
            {
                "id": 1,
                "was_cancelled": False,
                "updated_at": "2026-01-02T00:00:00Z",
                "ground_truth": False,
                "result": result,
            }
        ]
        data = {"image": f"/data/upload/1/0a1b2c3d-{item.stem}.png"}
        tasks.append({"id": n, "annotations": annotations, "file_upload": "x.png", "predictions": [], "data": data})
    put(root / "project-1-at-2026-01-02.json", tasks)


def label_studio_min(root: Path) -> None:
    """Label Studio's JSON-MIN, of pictures from local storage."""
    tasks: list[dict[str, object]] = []
    for n, item in enumerate(DRAWN):
        paint(root / f"images/{item.split}/{item.stem}.png", item.stem)
        address = f"/data/local-files/?d=cards/images/{item.split}/{item.stem}.png"
        task: dict[str, object] = {"image": address, "id": n, "annotator": 1, "annotation_id": 1, "lead_time": 1.5}
        if item.boxes:
            task["label"] = [
                {name: value for name, value in region.items() if name != "id"} for region in _regions(item)
            ]
        tasks.append(task)
    put(root / "export.json", tasks)


FORMATS: dict[str, Callable[[Path], None]] = {
    writer.__name__: writer
    for writer in (
        yolo, yolo_outlines, roboflow_yolo, cvat_yolo, coco, roboflow_coco, cvat_coco, voc, roboflow_voc, cvat,
        label_studio, label_studio_min,
    )
}  # fmt: skip
