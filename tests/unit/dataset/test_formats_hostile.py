"""Annotation files that lie, lead elsewhere or explode: refused by name, and no file outside the delivery is opened."""

from __future__ import annotations

import json
from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from tests.plugins.foreign_formats import DRAWN, FORMATS, coco, coco_document, cvat, label_studio, paint, put, voc
from treering_api import Verification
from treering_api.errors import BadDataError
from treering_trainer.dataset import Checked, delivered, read_dataset
from treering_trainer.dataset.formats import documents
from treering_trainer.records import Finding

BOMB = (
    '<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY lol "lol"><!ENTITY b "&lol;&lol;&lol;">]>'
    "<annotation><filename>&b;</filename></annotation>"
)
OUTSIDE = '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><annotation><filename>&x;</filename></annotation>'


def read(root: Path) -> Checked:
    return read_dataset(root, "w47", "increment", Verification(), workers=1)


def only(checked: Checked, code: str) -> Finding:
    (finding,) = [item for item in checked.findings if item.code == code]
    return finding


@pytest.mark.parametrize("text", [BOMB, OUTSIDE], ids=["bomb", "outside file"])
@pytest.mark.parametrize("key", ["Annotations/a.xml", "annotations.xml"])
def test_xml__document_types_are_refused(tmp_path: Path, text: str, key: str) -> None:
    (voc if key.startswith("A") else cvat)(tmp_path)
    put(tmp_path / key, text)
    finding = only(read(tmp_path), "BadAnnotations")
    assert (finding.severity, finding.where) == ("error", f"w47/{key}")
    assert "document type" in finding.found and "passwd" not in finding.found


COCO = "annotations/instances_train2017.json"
BROKEN = [
    (COCO, "{", "is no JSON"),
    (COCO, "[" * 100_000, "nested too deeply"),
    (COCO, '{"images": [{"id": ' + "9" * 5000 + "}]}", "is no JSON"),
    (COCO, "\udcff", "is no JSON"),
    (COCO, '{"images": {"a": 1}, "annotations": []}', "`images` is no list"),
    (COCO, '{"images": [1], "annotations": []}', "`images` is no list"),
    (
        "annotations/instances_train2017.json",
        '{"images": [{"id": [1], "file_name": 3}], "categories": []}',
        "file_name",
    ),
    (COCO, '{"images": [], "categories": [{"id": {}, "name": 1}]}', "category {}"),
    (COCO, "[1, 2]", "neither COCO nor Label Studio"),
]


@pytest.mark.parametrize(("key", "text", "found"), BROKEN, ids=range(len(BROKEN)))
def test_json__broken_or_of_wrong_types(tmp_path: Path, key: str, text: str, found: str) -> None:
    coco(tmp_path)
    (tmp_path / key).write_bytes(text.encode("utf-8", "surrogateescape"))
    finding = only(read(tmp_path), "BadAnnotations")
    assert finding.where == f"w47/{key}" and found in finding.found


@pytest.mark.parametrize(("name", "limit"), [("coco", "MAX_JSON_BYTES"), ("voc", "MAX_VOC_BYTES")])
def test_documents__giants_are_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, limit: str) -> None:
    FORMATS[name](tmp_path)
    path = next(path for path in tmp_path.rglob("*") if path.suffix in (".json", ".xml"))
    with path.open("ab") as file:
        file.truncate(getattr(documents, limit) + 1)  # a hole: it takes no room
    assert "bytes, more than" in only(read(tmp_path), "BadAnnotations").found


@pytest.mark.parametrize(
    "stated", ["../outside.png", "/outside.png", "C:\\x\\outside.png", "a/../../outside.png", "x\0.png"]
)
def test_coco__names_that_lead_out(tmp_path: Path, stated: str) -> None:
    paint(tmp_path / "outside.png", "outside")
    root = tmp_path / "w47"
    document = coco_document([*DRAWN[:2]])
    document["images"][0]["file_name"] = stated  # type: ignore[index]
    put(root / "annotations/x.json", document)
    for stem in ("b", "outside"):
        paint(root / f"images/{stem}.png", stem)
    checked = read(root)
    assert only(checked, "UnsafePath").severity == "error"
    assert [sample.name for sample in checked.dataset.train] == ["b"]


def test_label_studio__address_with_dots(tmp_path: Path) -> None:
    label_studio(tmp_path)
    path = tmp_path / "project-1-at-2026-01-02.json"
    put(path, path.read_text().replace("/data/upload/1/0a1b2c3d-a.png", "/data/local-files/?d=../0a1b2c3d-a.png"))
    assert "leads out" in only(read(tmp_path), "UnsafePath").found


@pytest.mark.parametrize("folder", [False, True], ids=["file", "folder"])
def test_symbolic_links__are_not_followed(tmp_path: Path, folder: bool) -> None:
    paint(tmp_path / "else/a.png", "secret")
    root = tmp_path / "w47"
    put(root / "annotations/x.json", coco_document([*DRAWN[:2]]))
    paint(root / "images/b.png", "b")
    link = root / ("more" if folder else "images/a.png")
    link.symlink_to(tmp_path / ("else" if folder else "else/a.png"))
    checked = read(root)
    assert only(checked, "SymbolicLink").where == f"w47/{link.relative_to(root)}"
    assert [sample.name for sample in checked.dataset.train] == ["b"]


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


def _places(value: object, path: tuple[object, ...] = ()) -> list[tuple[object, ...]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, inner in items for place in _places(inner, (*path, key)))]


@pytest.mark.parametrize("name", ["coco", "label_studio", "label_studio_min"])
def test_json__any_value_anywhere_raises_nothing(tmp_path: Path, name: str) -> None:
    """Each field in turn becomes anything at all: findings may come of it, exceptions may not."""
    FORMATS[name](tmp_path)
    path = next(item for item in sorted(tmp_path.rglob("*.json")) if "captions" not in item.name)
    good = json.loads(path.read_text())
    places = _places(good)

    @settings(max_examples=50, deadline=None, derandomize=True)
    @given(place=st.sampled_from(places[1:]), value=JSON_VALUES)
    def check(place: tuple[object, ...], value: object) -> None:
        document = json.loads(json.dumps(good))
        inner = document
        for key in place[:-1]:
            inner = inner[key]
        inner[place[-1]] = value
        path.write_text(json.dumps(document))
        read(tmp_path)

    check()


def test_delivered__broken_annotations_are_a_named_error(tmp_path: Path) -> None:
    coco(tmp_path)
    put(tmp_path / "annotations/instances_val2017.json", "{")
    with pytest.raises(BadDataError, match="is no JSON"):
        delivered(tmp_path)


@pytest.mark.parametrize("angle", ["inf", "nan", "x", "1e999"])
def test_xml__angles_that_are_no_numbers(tmp_path: Path, angle: str) -> None:
    voc(tmp_path)
    box = f"<robndbox><cx>60</cx><cy>60</cy><w>40</w><h>20</h><angle>{angle}</angle></robndbox>"
    put(tmp_path / "Annotations/empty.xml", f"<annotation><object><name>ace</name>{box}</object></annotation>")
    finding = only(read(tmp_path), "NotFinite")
    assert (finding.severity, finding.where) == ("quarantine", "w47/JPEGImages/empty.png")
