"""The same three pictures as every tool exports them: the same boxes; and files that mean harm or nonsense: named."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from treering_api import Verification
from treering_trainer.dataset import Checked, read_dataset, wanted_keys

WIDTH, HEIGHT = 200, 100
BOXES: dict[str, list[tuple[str, float, float, float, float]]] = {
    "one": [("ace", 20, 10, 60, 50), ("king", 100, 20, 180, 90)],
    "two": [("king", 40, 30, 90, 70)],
    "three": [],
}
SPLITS = {"one": "train", "two": "val", "three": "train"}
NAMES = ("ace", "king")


def draw(path: Path, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 255, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)


def pictures(root: Path, place: Callable[[str], str]) -> None:
    for seed, stem in enumerate(BOXES):
        draw(root / place(stem), seed)


def row(name: str, x1: float, y1: float, x2: float, y2: float) -> str:
    numbers = ((x1 + x2) / 2 / WIDTH, (y1 + y2) / 2 / HEIGHT, (x2 - x1) / WIDTH, (y2 - y1) / HEIGHT)
    return " ".join([str(NAMES.index(name)), *map(str, numbers)])


def coco(stems: list[str], prefix: str = "") -> dict[str, Any]:
    """As COCO, CVAT and Roboflow have it: ids of categories with gaps, a crowd, a polygon without a box."""
    annotations: list[dict[str, Any]] = []
    for image, stem in enumerate(stems):
        for name, x1, y1, x2, y2 in BOXES[stem]:
            one: dict[str, Any] = {"id": len(annotations), "image_id": image, "category_id": 3 + 4 * NAMES.index(name)}
            if name == "ace":
                one["segmentation"] = [[x1, y1, x2, y1, x2, y2, x1, y2]]
            else:
                one |= {"bbox": [x1, y1, x2 - x1, y2 - y1], "area": 1.0, "iscrowd": 0}
            annotations.append(one)
    crowd = {"id": 99, "image_id": 0, "category_id": 3, "bbox": [0, 0, 50, 50], "iscrowd": 1}
    return {
        "images": [
            {"id": at, "file_name": f"{prefix}{stem}.png", "width": WIDTH, "height": HEIGHT}
            for at, stem in enumerate(stems)
        ],
        "annotations": [*annotations, crowd],
        "categories": [{"id": 7, "name": "king"}, {"id": 3, "name": "ace", "supercategory": "cards"}],
    }


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def as_yolo(root: Path) -> None:
    pictures(root, lambda stem: f"images/{SPLITS[stem]}/{stem}.png")
    for stem, boxes in BOXES.items():
        write(root / "labels" / SPLITS[stem] / f"{stem}.txt", "\n".join(row(*box) for box in boxes))
    write(root / "names.json", json.dumps(NAMES))


def as_segments(root: Path) -> None:
    """YOLO's segments and turned boxes: points instead of sides."""
    as_yolo(root)
    x1, y1, x2, y2 = (20 / WIDTH, 10 / HEIGHT, 60 / WIDTH, 50 / HEIGHT)
    middle = (x1 + x2) / 2
    segment = f"0 {middle} {y1} {x2} {y1} {x2} {y2} {x1} {y2} {x1} {y1}"
    turned = f"1 {100 / WIDTH} {20 / HEIGHT} {180 / WIDTH} {20 / HEIGHT} {180 / WIDTH} {90 / HEIGHT} .5 .9"
    write(root / "labels" / "train" / "one.txt", f"{segment}\n{turned}\n")


def as_roboflow(root: Path) -> None:
    folder = {"train": "train", "val": "valid"}
    pictures(root, lambda stem: f"{folder[SPLITS[stem]]}/images/{stem}.png")
    for stem, boxes in BOXES.items():
        write(root / folder[SPLITS[stem]] / "labels" / f"{stem}.txt", "\n".join(row(*box) for box in boxes))
    draw(root / "test" / "images" / "secret.png", 9)
    write(root / "test" / "labels" / "secret.txt", "0 .5 .5 .5 .5")
    write(root / "data.yaml", "train: ../train/images\nval: ../valid/images\nnc: 2\nnames: ['ace', 'king']\n")


def as_darknet(root: Path) -> None:
    """CVAT's YOLO 1.1."""
    pictures(root, lambda stem: f"obj_{SPLITS[stem]}_data/{SPLITS[stem]}/{stem}.png")
    for stem, boxes in BOXES.items():
        write(root / f"obj_{SPLITS[stem]}_data" / SPLITS[stem] / f"{stem}.txt", "\n".join(row(*box) for box in boxes))
    write(root / "obj.names", "ace\nking\n")
    write(root / "obj.data", "classes = 2\n")
    write(root / "train.txt", "data/obj_train_data/one.png\n")


def as_coco(root: Path) -> None:
    pictures(root, lambda stem: f"images/{SPLITS[stem]}2017/{stem}.png")
    write(root / "annotations" / "instances_train2017.json", json.dumps(coco(["one", "three"])))
    write(root / "annotations" / "instances_val2017.json", json.dumps(coco(["two"])))


def as_roboflow_coco(root: Path) -> None:
    folder = {"train": "train", "val": "valid"}
    pictures(root, lambda stem: f"{folder[SPLITS[stem]]}/{stem}.png")
    write(root / "train" / "_annotations.coco.json", json.dumps(coco(["one", "three"])))
    write(root / "valid" / "_annotations.coco.json", json.dumps(coco(["two"])))


def as_voc(root: Path) -> None:
    pictures(root, lambda stem: f"JPEGImages/{stem}.png")
    for stem, boxes in BOXES.items():
        objects = "".join(
            f"<object><name>{name}</name><difficult>1</difficult><bndbox><xmin>{x1}</xmin><ymin>{y1}</ymin>"
            f"<xmax>{x2}</xmax><ymax>{y2}</ymax></bndbox></object>"
            for name, x1, y1, x2, y2 in boxes
        )
        size = f"<size><width>{WIDTH}</width><height>{HEIGHT}</height><depth>3</depth></size>"
        text = f"<annotation><folder>x</folder><filename>{stem}.png</filename>{size}{objects}</annotation>"
        write(root / "Annotations" / f"{stem}.xml", text)
    write(root / "ImageSets" / "Main" / "train.txt", "one\nthree\n")
    write(root / "ImageSets" / "Main" / "val.txt", "two 1\n")


def as_cvat(root: Path) -> None:
    pictures(root, lambda stem: f"images/{SPLITS[stem]}/{stem}.png")
    images = []
    for number, (stem, boxes) in enumerate(BOXES.items()):
        shapes = "".join(
            f'<polygon label="{name}" points="{x1},{y1};{x2},{y1};{x2},{y2};{x1},{y2}" occluded="0"/>'
            if name == "ace"
            else f'<box label="{name}" xtl="{x1}" ytl="{y1}" xbr="{x2}" ybr="{y2}" occluded="0" source="manual"/>'
            for name, x1, y1, x2, y2 in boxes
        )
        name = f'name="{SPLITS[stem]}/{stem}.png" subset="{SPLITS[stem]}"'
        images.append(f'<image id="{number}" {name} width="{WIDTH}" height="{HEIGHT}">{shapes}</image>')
    labels = "".join(f"<label><name>{name}</name></label>" for name in NAMES)
    text = f"<annotations><version>1.1</version><meta><task><labels>{labels}</labels></task></meta>{''.join(images)}"
    write(root / "annotations.xml", f'<?xml version="1.0" encoding="utf-8"?>{text}</annotations>')


def value(name: str, x1: float, y1: float, x2: float, y2: float) -> dict[str, Any]:
    sides = {"x": x1 / WIDTH, "y": y1 / HEIGHT, "width": (x2 - x1) / WIDTH, "height": (y2 - y1) / HEIGHT}
    return {**{key: 100 * side for key, side in sides.items()}, "rotation": 0, "rectanglelabels": [name]}


def as_label_studio(root: Path) -> None:
    pictures(root, lambda stem: f"media/{stem}.png")
    tasks: dict[str, list[dict[str, Any]]] = {"train": [], "val": []}
    for number, (stem, boxes) in enumerate(BOXES.items()):
        sizes = {"original_width": WIDTH, "original_height": HEIGHT}
        results = [{"type": "rectanglelabels", "value": value(*box), **sizes} for box in boxes]
        older = {"id": 1, "was_cancelled": False, "result": [], "updated_at": "2026-01-01"}
        done = {"id": 2, "was_cancelled": False, "result": results, "updated_at": "2026-01-02"}
        image = f"/data/upload/1/0123abcd-{stem}.png" if number else f"/data/local-files/?d=media/{stem}.png"
        tasks[SPLITS[stem]].append({"id": number, "data": {"image": image}, "annotations": [older, done]})
    for split, listed in tasks.items():
        write(root / f"{split}.json", json.dumps(listed))


def as_label_studio_min(root: Path) -> None:
    pictures(root, lambda stem: f"media/{stem}.png")
    for split in ("train", "val"):
        sizes = {"original_width": WIDTH, "original_height": HEIGHT}
        tasks = [
            {"id": 1, "image": f"s3://bucket/media/{stem}.png", "label": [{**value(*box), **sizes} for box in boxes]}
            for stem, boxes in BOXES.items()
            if SPLITS[stem] == split
        ]
        write(root / f"{split}.json", json.dumps(tasks))


FORMATS: dict[str, Callable[[Path], None]] = {
    "yolo": as_yolo,
    "segments": as_segments,
    "roboflow": as_roboflow,
    "darknet": as_darknet,
    "coco": as_coco,
    "roboflow-coco": as_roboflow_coco,
    "voc": as_voc,
    "cvat": as_cvat,
    "label-studio": as_label_studio,
    "label-studio-min": as_label_studio_min,
}


def read(root: Path, *, missing: str = "quarantine") -> Checked:
    settings = Verification.model_validate({"missingLabels": missing, "maxQuarantined": 1.0})
    return read_dataset(root, "delivery", "increment", settings)


def digests(root: Path) -> dict[str, str]:
    files = (path for path in root.rglob("*") if path.is_file())
    return {path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.mark.parametrize("name", FORMATS)
def test_every_format__the_same_boxes(name: str, tmp_path: Path) -> None:
    FORMATS[name](tmp_path)
    before = digests(tmp_path)
    checked = read(tmp_path)
    dataset = checked.dataset
    assert digests(tmp_path) == before
    assert not [one for one in checked.findings if one.severity in ("error", "quarantine", "warning")], checked.findings
    found = {sample.name: (split, sample) for split, sample in dataset.samples()}
    assert {stem: split for stem, (split, _) in found.items()} == SPLITS
    for stem, boxes in BOXES.items():
        sample = found[stem][1]
        seen = sorted((dataset.names[int(box[0])], *(float(side) for side in box[1:])) for box in sample.boxes)
        wanted = sorted((box[0], *(float(side) for side in row(*box).split()[1:])) for box in boxes)
        assert [one[0] for one in seen] == [one[0] for one in wanted]
        for one, other in zip(seen, wanted, strict=True):
            assert one[1:] == pytest.approx(other[1:], abs=1e-4)
    keys = wanted_keys(before)
    assert not any("secret" in key for key in keys)
    assert {key for key in before if key.endswith(".png") and "secret" not in key} <= set(keys)


def codes(checked: Checked) -> dict[str, str]:
    return {one.code: one.found for one in checked.findings}


def test_coco__what_was_changed_is_told(tmp_path: Path) -> None:
    as_coco(tmp_path)
    draw(tmp_path / "images" / "train2017" / "extra.png", 8)
    data = coco(["one", "three"])
    data["images"].append({"id": 9, "file_name": "gone.png", "width": 1, "height": 1})
    write(tmp_path / "annotations" / "instances_train2017.json", json.dumps(data))
    found = codes(read(tmp_path))
    assert found["Format"] == "read as COCO JSON"
    assert {"CrowdDropped", "MaskToBox", "NoSuchPicture", "NotListed"} <= found.keys()
    assert "gone.png" in found["NoSuchPicture"] and "extra.png" in found["NotListed"]


def test_roboflow__the_test_split_is_a_holdouts(tmp_path: Path) -> None:
    as_roboflow(tmp_path)
    checked = read_dataset(tmp_path, "delivery", "holdout", Verification())
    assert {sample.name for sample in checked.dataset.val} == {*BOXES, "secret"}


def break_coco(edit: Callable[[dict[str, Any]], None]) -> Callable[[Path], None]:
    def make(root: Path) -> None:
        as_coco(root)
        data = coco(["one", "three"])
        edit(data)
        write(root / "annotations" / "instances_train2017.json", json.dumps(data))

    return make


def beside_coco(text: str) -> Callable[[Path], None]:
    def make(root: Path) -> None:
        as_coco(root)
        write(root / "x.json", text)

    return make


def in_two_formats(root: Path) -> None:
    as_coco(root)
    as_voc(root)


def break_xml(text: str) -> Callable[[Path], None]:
    def make(root: Path) -> None:
        as_voc(root)
        write(root / "Annotations" / "one.xml", text)

    return make


BOMB = '<!DOCTYPE x [<!ENTITY a "aaaaaa"><!ENTITY b "&a;&a;&a;&a;">]><annotation><filename>&b;</filename></annotation>'
FILE = '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><annotation><filename>&a;</filename></annotation>'
HOSTILE: dict[str, tuple[Callable[[Path], None], str]] = {
    "traversal": (
        break_coco(lambda data: data["images"][0].update(file_name="../../etc/x.png")),
        "outside of the delivery",
    ),
    "absolute": (break_coco(lambda data: data["images"][0].update(file_name="/etc/x.png")), "outside of the delivery"),
    "twice": (break_coco(lambda data: data["categories"].append({"id": 8, "name": "ace"})), "stands there twice"),
    "no list": (break_coco(lambda data: data.update(images={})), "no list"),
    "no name": (break_coco(lambda data: data["images"][0].update(file_name=None)), "no text"),
    "entities": (break_xml(BOMB), "it defines entities"),
    "outer entity": (break_xml(FILE), "it defines entities"),
    "no xml": (break_xml("<annotation>"), "no XML"),
    "other xml": (break_xml("<html></html>"), "no <annotation>"),
    "deep": (beside_coco("[" * 100_000), "nested too deeply"),
    "no json": (beside_coco("{"), "no JSON"),
    "other json": (beside_coco('{"a": 1}'), "neither COCO"),
    "two formats": (in_two_formats, "several formats"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile__is_refused_by_name(name: str, tmp_path: Path) -> None:
    make, expected = HOSTILE[name]
    make(tmp_path)
    checked = read(tmp_path)
    (error,) = [one for one in checked.findings if one.severity == "error"]
    assert expected in error.found and error.where.startswith("delivery/") and error.mend
    assert not checked.dataset.train


BROKEN: dict[str, tuple[Callable[[Path], None], str]] = {
    "nan": (break_coco(lambda data: data["annotations"][1].update(bbox=[float("nan"), 0, 1, 1])), "BadAnnotation"),
    "text": (break_coco(lambda data: data["annotations"][1].update(bbox=["a", 0, 1, 1])), "BadAnnotation"),
    "category": (break_coco(lambda data: data["annotations"][1].update(category_id=55)), "BadAnnotation"),
    "outside": (break_coco(lambda data: data["annotations"][1].update(bbox=[500, 500, 20, 20])), "ZeroArea"),
    "size": (break_coco(lambda data: data["images"][0].update(width=100)), "OtherSize"),
    "voc": (break_xml("<annotation><object><name>ace</name></object></annotation>"), "BadAnnotation"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken__keeps_the_picture_out(name: str, tmp_path: Path) -> None:
    make, code = BROKEN[name]
    make(tmp_path)
    checked = read(tmp_path)
    (one,) = [each for each in checked.findings if each.severity == "quarantine"]
    assert one.code == code and one.where == "delivery/train/one.png"
    assert [sample.name for sample in checked.dataset.train] == ["three"]


def test_links_are_not_followed(tmp_path: Path) -> None:
    as_coco(tmp_path / "in")
    draw(tmp_path / "outside.png", 3)
    (tmp_path / "in" / "images" / "train2017" / "one.png").unlink()
    (tmp_path / "in" / "images" / "train2017" / "one.png").symlink_to(tmp_path / "outside.png")
    checked = read(tmp_path / "in")
    assert "one.png" in codes(checked)["NoSuchPicture"]
    assert [sample.name for sample in checked.dataset.train] == ["three"]
