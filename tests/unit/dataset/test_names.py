from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from treering_api.errors import BadDataError
from treering_trainer.dataset import DataSet, normalised, read_names, remap, renamed, unite

NewDataSet = Callable[..., DataSet]

GOOD = [
    pytest.param("names.json", '["ace", " king "]', id="JSON list"),
    pytest.param("names.json", '{"1": "king", "0": "ace"}', id="JSON mapping"),
    pytest.param("data.yaml", "names: [ace, king]\nnc: 2\n", id="YAML list"),
    pytest.param("data.yaml", "names:\n  0: ace\n  1: king\n", id="YAML mapping"),
    pytest.param("data.yaml", "download: import os; os.abort()\npath: /etc\nnames: [ace, king]\n", id="YAML download"),
    pytest.param("classes.txt", "\ufefface\r\nking\r\n\r\n", id="text"),
]

BAD = [
    pytest.param("names.json", "[]", "no list of class names", "Write a list", id="empty list"),
    pytest.param("names.json", '["ace"', "can't be read as class names", "Write a list", id="broken JSON"),
    pytest.param("names.json", '"ace"', "no list of class names", "Write a list", id="text"),
    pytest.param("names.json", '{"0": "ace", "2": "king"}', "not 0, 1, 2", "Write a list", id="gap"),
    pytest.param("names.json", '["ace", "ace"]', "duplicate class name: 'ace'", "a name of its own", id="duplicate"),
    pytest.param(
        "names.json", '["ace", "Ace"]', "'Ace' beside 'ace'", "a name of its own", id="duplicate but for case"
    ),
    pytest.param("names.json", '["ace", ""]', "class 1 has the name ''", "1 to 100", id="empty name"),
    pytest.param("names.json", '["a\\u0007"]', "class 0 has the name", "printable", id="control character"),
    pytest.param("names.json", "[" * 100_000, "can't be read as class names", "Write a list", id="deep nesting"),
    pytest.param("data.yaml", "names: [yes, no]", "class 0 is True, not text", "in quotes", id="YAML booleans"),
    pytest.param("data.yaml", "names: [!!python/name:os.abort '']", "can't be read", "Write a list", id="YAML code"),
    pytest.param("data.yaml", "names: {0: ace", "can't be read as class names", "Write a list", id="broken YAML"),
    pytest.param("data.yaml", "train: images\n", "no list of class names", "Write a list", id="YAML without names"),
    pytest.param("classes.txt", "ace\n\nking\n", "class 1 has the name ''", "1 to 100", id="gap in text"),
]


@pytest.mark.parametrize(("file", "text"), GOOD)
def test_read_names__good(tmp_path: Path, file: str, text: str) -> None:
    (tmp_path / file).write_text(text, encoding="utf-8", newline="")
    assert read_names(tmp_path, "w47") == ("ace", "king")


@pytest.mark.parametrize(("file", "text", "found", "mend"), BAD)
def test_read_names__bad(tmp_path: Path, file: str, text: str, found: str, mend: str) -> None:
    (tmp_path / file).write_text(text, encoding="utf-8")
    with pytest.raises(BadDataError) as caught:
        read_names(tmp_path, "w47")
    assert caught.value.where == f"w47/{file}"
    assert found in caught.value.found
    assert mend in caught.value.mend


def test_read_names__digits_are_names(tmp_path: Path) -> None:
    (tmp_path / "data.yaml").write_text("names: [0, 1, 2]")
    assert read_names(tmp_path, "w47") == ("0", "1", "2")


def test_read_names__missing(tmp_path: Path) -> None:
    with pytest.raises(BadDataError) as caught:
        read_names(tmp_path, "w47")
    assert caught.value.where == "w47"
    assert "none of names.json, data.yaml, classes.txt is there" in caught.value.found
    assert "names.json beside images/" in caught.value.mend


def test_read_names__two_files(tmp_path: Path) -> None:
    (tmp_path / "names.json").write_text('["ace", "king"]')
    (tmp_path / "classes.txt").write_text("ace\nking\n")
    assert read_names(tmp_path, "w47") == ("ace", "king")
    (tmp_path / "classes.txt").write_text("king\nace\n")
    with pytest.raises(BadDataError) as caught:
        read_names(tmp_path, "w47")
    assert caught.value.where == "w47/classes.txt"
    assert caught.value.found == "names other classes than names.json"


def test_read_names__yaml_bomb(tmp_path: Path) -> None:
    layers = "".join(f"l{i}: &l{i} [{', '.join([f'*l{i - 1}'] * 9)}]\n" for i in range(1, 12))
    (tmp_path / "data.yaml").write_text(f"l0: &l0 [x]\n{layers}names: [*l11]\n")
    with pytest.raises(BadDataError, match=r"class 0 is .* not text"):
        read_names(tmp_path, "w47")


@given(st.one_of(st.text(max_size=40), st.text(alphabet="names: []{}\"'!&*-?|>%@,\n0a1b", max_size=30)))
def test_read_names__any_text(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    for file in ("names.json", "data.yaml", "classes.txt"):
        root = tmp_path_factory.getbasetemp() / file.replace(".", "-")
        root.mkdir(exist_ok=True)
        (root / file).write_bytes(text.encode("utf-8", "surrogatepass"))
        try:
            names = read_names(root, "w47")
        except BadDataError as error:
            assert error.where.startswith("w47")
        else:
            assert names and len(set(names)) == len(names)


def test_renamed__applies_the_map() -> None:
    assert renamed(("Ace", "king"), {"Ace": "ace"}, "w47") == ("ace", "king")


def test_renamed__unknown_class() -> None:
    with pytest.raises(BadDataError) as caught:
        renamed(("ace", "king"), {"kign": "king"}, "w47")
    assert caught.value.where == "w47/classes"
    assert "renames 'kign', a class that the delivery does not have" in caught.value.found
    assert "Did you mean 'king'?" in caught.value.mend


def test_unite__known_first_then_new_by_appearance(new_dataset: NewDataSet) -> None:
    one, two = new_dataset("w47", names=("ten", "ace")), new_dataset("w48", names=("nine", "ten", "jack"))
    assert unite(("ace", "king"), one, two) == ("ace", "king", "ten", "nine", "jack")
    assert unite((), two) == ("nine", "ten", "jack")


@pytest.mark.parametrize("spelling", ["Stop Sign", "stop-sign", "stop__sign ", "STOP_SIGN"])
def test_unite__class_renamed(new_dataset: NewDataSet, spelling: str) -> None:
    with pytest.raises(BadDataError) as caught:
        unite(("stop_sign",), new_dataset("w48", names=(spelling,)))
    assert caught.value.where == "w48"
    assert f"class renamed: {spelling!r} here, 'stop_sign' in the line" in caught.value.found
    assert f'classes: {{"{spelling}": "stop_sign"}}' in caught.value.mend


def test_class_maps__are_named_by_the_field_of_the_data_set(new_dataset: NewDataSet) -> None:
    with pytest.raises(BadDataError) as caught:
        unite(("ring",), new_dataset("golden", "holdout", names=("Ring",)))
    assert "at this hold-out in spec.evaluation.holdouts" in caught.value.mend
    assert "spec.increments" not in caught.value.mend
    with pytest.raises(BadDataError, match=r"its map is spec\.evaluation\.holdouts\[\]\.classes"):
        renamed(("ring",), {"rang": "ring"}, "golden", "holdout")


def test_unite__other_numbers_are_other_classes(new_dataset: NewDataSet) -> None:
    assert unite(("a 11",), new_dataset("w48", names=("a 1 1", "a11"))) == ("a 11", "a 1 1", "a11")


@given(st.lists(st.lists(st.text(max_size=4), unique_by=normalised, max_size=5), max_size=4))
def test_unite__is_a_union(lists: list[list[str]]) -> None:
    datasets = [DataSet(f"w{i}", "increment", tuple(names), (), ()) for i, names in enumerate(lists)]
    try:
        union = unite((), *datasets)
    except BadDataError as error:
        assert "class renamed" in error.found
    else:
        assert set(union) == {name for names in lists for name in names}
        assert len(set(union)) == len(union)
        assert unite(union, *datasets) == union


def test_remap__by_name() -> None:
    boxes = np.array([[0, 0.1, 0.2, 0.3, 0.4], [1, 0.5, 0.5, 0.1, 0.1]])
    mapped = remap(boxes, ("king", "ace"), ("ace", "queen", "king"))
    assert mapped[:, 0].tolist() == [2, 0]
    assert np.array_equal(mapped[:, 1:], boxes[:, 1:])
    assert boxes[:, 0].tolist() == [0, 1]


def test_remap__unknown_class() -> None:
    boxes = np.array([[0, 0.1, 0.2, 0.3, 0.4], [1, 0.5, 0.5, 0.1, 0.1]])
    with pytest.raises(ValueError, match="class 'king' is not among"):
        remap(boxes, ("ace", "king"), ("ace",))
    assert remap(boxes, ("ace", "king"), ("ace",), drop_unknown=True).tolist() == [[0, 0.1, 0.2, 0.3, 0.4]]


def test_remap__no_boxes() -> None:
    assert remap(np.zeros((0, 5)), (), ("ace",)).shape == (0, 5)
