"""The same pictures in every accepted format are the same data set; and what is no box is told."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest

from tests.plugins.foreign_formats import (
    DRAWN,
    FORMATS,
    HEIGHT,
    NAMES,
    WIDTH,
    coco_document,
    cvat,
    label_studio,
    paint,
    put,
    voc,
    yolo,
)
from treering_api import Verification
from treering_api.errors import BadDataError
from treering_trainer.dataset import Boxes, Checked, Kind, Recognition, delivered, has_labels, read_dataset, wanted_keys
from treering_trainer.dataset.formats.rle import mask_corners
from treering_trainer.discovery import measure
from treering_trainer.store import open_store

FOREIGN = [name for name in FORMATS if not name.startswith("yolo")]


def read(root: Path, kind: Kind = "increment") -> Checked:
    return read_dataset(root, "w47", kind, Verification(), workers=1)


def keys(root: Path) -> list[str]:
    return [path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()]


def digest(root: Path) -> str:
    return hashlib.sha256(
        b"".join(f"{path}".encode() + path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file())
    ).hexdigest()


def codes(checked: Checked) -> dict[str, str]:
    return {finding.code: finding.severity for finding in checked.findings}


def boxes_px(checked: Checked, stem: str) -> Boxes:
    sample = next(item for _, item in checked.dataset.samples() if item.name.endswith(stem))
    x, y, w, h = sample.boxes[:, 1:].T * np.array([[WIDTH], [HEIGHT]] * 2)
    return np.stack([x - w / 2, y - h / 2, x + w / 2, y + h / 2], axis=1)


@pytest.mark.parametrize("name", FORMATS)
def test_read_dataset__same_boxes_in_every_format(tmp_path: Path, name: str) -> None:
    root = tmp_path / "w47"
    FORMATS[name](root)
    before = digest(root)
    checked = read(root)
    assert digest(root) == before
    assert not [finding for finding in checked.findings if finding.severity in ("error", "quarantine", "warning")]
    assert sorted(checked.dataset.names) == sorted(NAMES)
    found = {sample.name.removeprefix("0a1b2c3d-"): (split, sample) for split, sample in checked.dataset.samples()}
    assert found.keys() == {item.stem for item in DRAWN}
    for item in DRAWN:
        split, sample = found[item.stem]
        assert split == item.split
        rows = [(checked.dataset.names[int(row[0])], row[1:]) for row in sample.boxes]
        assert [name for name, _ in rows] == [NAMES[box[0]] for box in item.boxes]
        for (_, row), (_, left, top, right, bottom) in zip(rows, item.boxes, strict=True):
            truth = (
                (left + right) / 2 / WIDTH,
                (top + bottom) / 2 / HEIGHT,
                (right - left) / WIDTH,
                (bottom - top) / HEIGHT,
            )
            np.testing.assert_allclose(row, truth, atol=1e-4)


@pytest.mark.parametrize("name", FORMATS)
def test_wanted_keys__pulls_what_is_needed_and_no_more(tmp_path: Path, name: str) -> None:
    root = tmp_path / "w47"
    FORMATS[name](root)
    put(root / "notes.txt", "no data")
    put(root / "train.cache", "a pickle")
    everything = keys(root)
    wanted = wanted_keys(everything)
    assert "notes.txt" not in wanted and "train.cache" not in wanted
    for key in {*everything} - {*wanted}:
        (root / key).unlink()
    assert sum(count.images for count in read(root).counts) == len(DRAWN)
    seen = Recognition("increment")
    for key in everything:
        seen.see(key)
    assert seen.pictures() == len(DRAWN)
    assert has_labels(root)
    assert delivered(root)[0] == len(DRAWN)


@pytest.mark.parametrize("name", FOREIGN)
def test_read_dataset__format_is_told(tmp_path: Path, name: str) -> None:
    FORMATS[name](tmp_path)
    assert codes(read(tmp_path))["Recognised"] == "info"


@pytest.mark.parametrize("name", FORMATS)
def test_read_dataset__holdout_measures_on_every_split(tmp_path: Path, name: str) -> None:
    FORMATS[name](tmp_path)
    checked = read(tmp_path, "holdout")
    assert (len(checked.dataset.train), len(checked.dataset.val)) == (0, len(DRAWN))


@pytest.mark.parametrize("path", ["test/images/t.png", "images/test/t.png", "test2017/t.png", "test/t.png"])
def test_wanted_keys__test_split_is_a_holdouts(path: str) -> None:
    listed = [path, "train/a.png", "annotations/instances_train.json", "annotations/instances_test.json"]
    assert wanted_keys(listed) == ["annotations/instances_train.json", "train/a.png"]
    assert wanted_keys(listed, "holdout") == sorted(listed)


@pytest.mark.parametrize("other", [name for name in FOREIGN if not name.startswith("label_studio")])
def test_wanted_keys__two_formats_at_once(tmp_path: Path, other: str) -> None:
    yolo(tmp_path)
    FORMATS[other](tmp_path)
    with pytest.raises(BadDataError, match="two formats at once") as caught:
        wanted_keys(keys(tmp_path), "increment", "spec.increments[0].uri")
    assert caught.value.where == "spec.increments[0].uri" and "COCO" in caught.value.mend
    assert codes(read(tmp_path)) == {"UnknownFormat": "error"}


def test_wanted_keys__pictures_and_no_format() -> None:
    with pytest.raises(BadDataError, match="2 pictures, and labels in no known format") as caught:
        wanted_keys(["a.jpg", "b/c.png", "b/c.csv"])
    assert "Pascal VOC" in caught.value.mend and "Label Studio" in caught.value.mend


def test_read_dataset__stray_json_beside_unlabelled_pictures_is_no_format(tmp_path: Path) -> None:
    paint(tmp_path / "images/train/a.png", "a")
    put(tmp_path / "statistics.json", {"mean": 1})
    put(tmp_path / "names.json", [*NAMES])
    assert codes(read(tmp_path)).keys() >= {"MissingLabel"}


MASK = {"size": [HEIGHT, WIDTH], "counts": [250, 20, 23730]}
COCO_CASES: list[tuple[str, dict[str, object], str, str, list[float] | None]] = [
    ("crowd", {"iscrowd": 1}, "CrowdDropped", "warning", None),
    ("ignore", {"ignore": 1}, "CrowdDropped", "warning", None),
    ("outline", {"bbox": [], "segmentation": [[20, 30, 50, 30, 50, 90]]}, "OutlineToBox", "info", [20, 30, 50, 90]),
    ("mask", {"bbox": None, "segmentation": MASK}, "MaskToBox", "info", [2, 10, 3, 30]),
    ("turned", {"bbox": [40, 40, 40, 20], "attributes": {"rotation": 90.0}}, "RotatedToBox", "info", [50, 30, 70, 70]),
    ("keypoints", {"keypoints": [1, 1, 2]}, "KeypointsDropped", "info", [10, 12, 60, 72]),
    ("beyond", {"bbox": [-10, -10, 60, 60]}, "BoxClipped", "info", [0, 0, 50, 50]),
    ("nothing", {"bbox": []}, "ShapeDropped", "warning", None),
    ("nan", {"bbox": [float("nan"), 1, 2, 3]}, "NotFinite", "quarantine", None),
    ("infinite", {"bbox": [1, 1, float("inf"), 3]}, "NotFinite", "quarantine", None),
    ("negative", {"bbox": [50, 50, -20, 10]}, "NegativeBox", "quarantine", None),
    ("flat", {"bbox": [50, 50, 20, 0]}, "ZeroArea", "quarantine", None),
    ("outside", {"bbox": [500, 50, 20, 10]}, "OutOfPicture", "quarantine", None),
    ("words", {"bbox": ["a", "b", "c", "d"]}, "BadBox", "quarantine", None),
    ("bad mask", {"bbox": [], "segmentation": {"size": [9, 9], "counts": [1]}}, "BadBox", "quarantine", None),
    ("no such class", {"category_id": 99}, "UnknownCategory", "quarantine", None),
    ("class is a list", {"category_id": [3]}, "UnknownCategory", "quarantine", None),
    ("no such picture", {"image_id": 12345}, "AnnotationWithoutPicture", "warning", None),
]  # fmt: skip


@pytest.mark.parametrize(("change", "code", "severity", "box"), [pytest.param(*c[1:], id=c[0]) for c in COCO_CASES])
def test_coco__what_is_no_plain_box(
    tmp_path: Path, change: dict[str, object], code: str, severity: str, box: list[float] | None
) -> None:
    document = coco_document([*DRAWN[:2]])
    annotations = document["annotations"]
    assert isinstance(annotations, list)
    annotations[0].update(change)
    del annotations[1]  # the other one of the same picture
    put(tmp_path / "annotations/x.json", document)
    for item in DRAWN[:2]:
        paint(tmp_path / f"images/{item.stem}.png", item.stem)
    checked = read(tmp_path)
    assert codes(checked)[code] == severity
    if severity == "quarantine":
        assert len(checked.dataset.train) == 1
    else:
        found = boxes_px(checked, "a")
        assert len(found) == (box is not None)
        np.testing.assert_allclose(found, np.array(box or []).reshape(-1, 4), atol=1e-6)


def test_coco__pictures_listed_absent_unlisted_and_of_one_name(tmp_path: Path) -> None:
    document = coco_document([*DRAWN[:2]], "one/")
    other = coco_document([DRAWN[0]], "two/")
    document["images"] += [{**other["images"][0], "id": 99, "file_name": name} for name in ("two/a.png", "gone.png")]  # type: ignore[operator, index]
    put(tmp_path / "annotations/x.json", document)
    for key in ("one/a", "one/b", "two/a", "three/c"):
        paint(tmp_path / f"images/{key}.png", key)
    document["images"][-1]["id"] = 100  # type: ignore[index]
    put(tmp_path / "annotations/x.json", document)
    checked = read(tmp_path)
    assert {sample.name for sample in checked.dataset.train} == {"images-one-a", "b", "images-two-a"}
    assert {code: severity for code, severity in codes(checked).items() if severity != "info"} == {
        "PictureAbsent": "warning",
        "PictureNotListed": "warning",
    }


def test_coco__category_named_twice_is_one_class(tmp_path: Path) -> None:
    document = coco_document([*DRAWN[:2]])
    document["categories"][0]["name"] = "ace"  # type: ignore[index]
    put(tmp_path / "annotations/x.json", document)
    for item in DRAWN[:2]:
        paint(tmp_path / f"images/{item.stem}.png", item.stem)
    checked = read(tmp_path)
    assert checked.dataset.names == ("ace",) and codes(checked)["ClassTwice"] == "warning"


def test_coco__another_size_than_stated(tmp_path: Path) -> None:
    document = coco_document([*DRAWN[:2]])
    images = document["images"]
    assert isinstance(images, list)
    images[0].update(width=2 * WIDTH, height=2 * HEIGHT)
    images[1].update(width=HEIGHT, height=WIDTH)
    put(tmp_path / "annotations/x.json", document)
    for item in DRAWN[:2]:
        paint(tmp_path / f"images/{item.stem}.png", item.stem)
    checked = read(tmp_path)
    assert (codes(checked)["OtherSize"], codes(checked)["SizeDiffers"]) == ("warning", "quarantine")
    np.testing.assert_allclose(boxes_px(checked, "a")[0], [5, 6, 30, 36])


def test_mask_corners__compressed_counts() -> None:
    """The string is what pycocotools makes of rows 2..5, columns 3..6 of a mask of 10 x 12."""
    assert mask_corners({"size": [10, 12], "counts": "P14600000`1"}) == mask_corners(
        {"size": [10, 12], "counts": [32, 4, 6, 4, 6, 4, 6, 4, 54]}
    )
    assert mask_corners({"size": [4, 4], "counts": [16]}) is None


def test_voc__odd_objects(tmp_path: Path) -> None:
    voc(tmp_path)
    hard = (
        "<object><name>ace</name><difficult>1</difficult><bndbox><xmin>100</xmin><ymin>10</ymin><xmax>140</xmax>"
        "<ymax>50</ymax></bndbox></object>"
    )
    turned = (
        "<object><name>ace</name><robndbox><cx>60</cx><cy>60</cy><w>40</w><h>20</h><angle>1.5707963</angle></robndbox>"
        "</object>"
    )
    outline = (
        "<object><name>ace</name><polygon><x1>5</x1><y1>6</y1><x2>50</x2><y2>6</y2><x3>50</x3><y3>70</y3></polygon>"
        "</object>"
    )
    point = "<object><name>ace</name><point><x>5</x></point></object>"
    objects = f"<size><width>0</width></size>{hard}{turned}{outline}{point}"
    put(tmp_path / "Annotations/empty.xml", f"<annotation>{objects}</annotation>")
    checked = read(tmp_path)
    boxes = [[100, 10, 140, 50], [50, 40, 70, 80], [5, 6, 50, 70]]
    np.testing.assert_allclose(boxes_px(checked, "empty"), boxes, atol=1e-4)
    expected = {"HardObjectKept": "info", "RotatedToBox": "info", "OutlineToBox": "info", "ShapeDropped": "warning"}
    assert codes(checked).items() >= expected.items()


def test_voc__picture_without_file_or_outside_the_lists(tmp_path: Path) -> None:
    voc(tmp_path)
    (tmp_path / "Annotations/a.xml").unlink()
    paint(tmp_path / "JPEGImages/new.png", "new")
    found = codes(read(tmp_path))
    assert (found["MissingLabel"], found["PictureNotListed"]) == ("quarantine", "warning")


def test_cvat__every_shape(tmp_path: Path) -> None:
    cvat(tmp_path)
    shapes = (
        '<polygon label="ace" points="10,20;60.5,20;30,90"/>'
        '<mask label="ace" rle="1, 2" left="5" top="6" width="20" height="30"/>'
        '<ellipse label="ace" cx="100" cy="60" rx="40" ry="20" rotation="90.0"/>'
        '<box label="king" occluded="1" xtl="40" ytl="50" xbr="80" ybr="70" rotation="90.0"/>'
        '<points label="ace" points="1,2"/><polyline label="ace" points="1,2;3,4"/><tag label="king"/>'
    )
    text = (tmp_path / "annotations.xml").read_text().replace('height="120"></image>', f'height="120">{shapes}</image>')
    put(tmp_path / "annotations.xml", text)
    checked = read(tmp_path)
    corners = np.array([[10, 20, 60.5, 90], [5, 6, 25, 36], [80, 20, 120, 100], [50, 40, 70, 80]])
    np.testing.assert_allclose(boxes_px(checked, "empty"), corners, atol=1e-6)
    dropped = next(finding for finding in checked.findings if finding.code == "ShapeDropped")
    assert dropped.found.startswith("3 shapes")
    assert codes(checked).keys() >= {"OutlineToBox", "MaskToBox", "RotatedToBox", "HardObjectKept"}


def test_cvat__video_is_refused(tmp_path: Path) -> None:
    cvat(tmp_path)
    put(tmp_path / "annotations.xml", '<annotations><track id="0" label="ace"/></annotations>')
    finding = next(item for item in read(tmp_path).findings if item.code == "BadAnnotations")
    assert "tracks of a video" in finding.found and "CVAT for images" in finding.mend


def test_label_studio__shapes_and_several_annotations(tmp_path: Path) -> None:
    paint(tmp_path / "pictures/x.png", "x")
    common = {"original_width": WIDTH, "original_height": HEIGHT}
    values = [
        {"x": 50, "y": 50, "width": 10, "height": 20, "rotation": 90, "rectanglelabels": ["ace"]},
        {"points": [[10, 10], [30, 10], [20, 50]], "polygonlabels": ["ace"]},
        {"x": 50, "y": 50, "radiusX": 10, "radiusY": 10, "rotation": 0, "ellipselabels": ["king"]},
        {"x": 5, "y": 5, "width": 1, "keypointlabels": ["king"]},
        {"format": "rle", "rle": [1, 2], "brushlabels": ["king"]},
    ]
    result: list[dict[str, object]] = [
        {"id": str(n), "type": "t", "value": value, **common} for n, value in enumerate(values)
    ]
    old = {"id": 1, "updated_at": "2025", "result": []}
    new = {"id": 2, "updated_at": "2026", "result": result}
    skipped = {"id": 3, "updated_at": "2027", "was_cancelled": True, "result": []}
    task = {
        "id": 1,
        "data": {"image": "s3://bucket/else/x.png"},
        "annotations": [old, new, skipped],
        "predictions": [{"result": result}],
    }
    put(tmp_path / "export.json", [task])
    checked = read(tmp_path)
    boxes = [[76, 60, 100, 80], [20, 12, 60, 60], [80, 48, 120, 72]]
    np.testing.assert_allclose(boxes_px(checked, "x"), boxes, atol=1e-6)
    assert codes(checked).keys() >= {
        "RotatedToBox",
        "OutlineToBox",
        "ShapeDropped",
        "PredictionDropped",
        "CancelledDropped",
    }


def test_label_studio__task_nobody_annotated_is_unlabelled(tmp_path: Path) -> None:
    label_studio(tmp_path)
    paint(tmp_path / "images/train/new.png", "new")
    path = tmp_path / "project-1-at-2026-01-02.json"
    put(path, path.read_text()[:-1] + ', {"id": 9, "annotations": [], "data": {"image": "new.png"}}]')
    assert codes(read(tmp_path))["MissingLabel"] == "quarantine"


def test_yolo__keypoints_of_a_stated_shape_are_left_out(tmp_path: Path) -> None:
    paint(tmp_path / "images/train/a.png", "a")
    put(tmp_path / "data.yaml", "names: [ace]\nkpt_shape: [4, 3]\n")
    put(tmp_path / "labels/train/a.txt", "0 .5 .5 .2 .2" + " .1 .1 2" * 4 + "\n")
    checked = read(tmp_path)
    np.testing.assert_allclose(checked.dataset.train[0].boxes, [[0, 0.5, 0.5, 0.2, 0.2]])
    assert codes(checked)["KeypointsDropped"] == "info"


def test_read_dataset__loose_json_beside_labels_is_a_note(tmp_path: Path) -> None:
    yolo(tmp_path)
    put(tmp_path / "export.json", [])
    assert "Recognised" not in codes(read(tmp_path))


def test_discovery__counts_the_pictures_of_every_format(tmp_path: Path) -> None:
    for name, write in FORMATS.items():
        write(tmp_path / name.replace("_", "-"))
    paint(tmp_path / "nothing-known/a.png", "a")
    put(tmp_path / "no-picture/annotations/x.json", coco_document([]))
    store = open_store(tmp_path.as_uri())
    names = [name.replace("_", "-") for name in FORMATS]
    counted = {name: measure(store, name).images for name in (*names, "nothing-known", "no-picture")}
    assert counted == dict.fromkeys(names, len(DRAWN)) | {"nothing-known": 1, "no-picture": 0}
