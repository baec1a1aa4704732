"""Class names: read from a delivery, put into the line's words, and united across deliveries.

`read` calls `read_names` and `Renaming`; `prepare` calls `unite` and `remap`. Classes are matched by name and never by
index, because each delivery may list them in an order of its own.
"""

from __future__ import annotations

import difflib
import json
import re
import reprlib
import unicodedata
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import yaml

from treering_api.errors import BadDataError
from treering_trainer.dataset.layout import NAMES_FILES
from treering_trainer.dataset.samples import Boxes, DataSet, Kind

MAX_NAME_CHARACTERS = 100
MAX_FILE_BYTES = 1024 * 1024

# What pyyaml and json let escape on odd input, beside their own errors.
_PARSE_ERRORS = (yaml.YAMLError, ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError)
_SHAPE = 'Write a list of names in the order of the class indexes, such as ["ace", "king"]'


def has_names(root: Path) -> bool:
    """Whether a data set brings class names."""
    return any((root / file).is_file() for file in NAMES_FILES)


def read_names(root: Path, dataset: str) -> tuple[str, ...]:
    """The class names of a data set, in the order of their indexes: from names.json, data.yaml or classes.txt.

    Of data.yaml only `names` is used. Where there is more than one file they must agree.

    Raises:
        BadDataError: no such file, not readable as such, a name missing, twice or unusable, or two files that differ.
    """
    found = {file: _read_file(root / file, f"{dataset}/{file}") for file in NAMES_FILES if (root / file).is_file()}
    if not found:
        mend = f"{_SHAPE} as names.json beside images/, or deliver {' or '.join(NAMES_FILES[1:])}."
        raise BadDataError(dataset, f"no class names: none of {', '.join(NAMES_FILES)} is there", mend)
    (first, names), *others = found.items()
    for file, other in others:
        if other != names:
            raise BadDataError(f"{dataset}/{file}", f"names other classes than {first}", "Keep one of the two files.")
    return names


def pose_columns(root: Path) -> int:
    """Columns of a row of labels with keypoints, from `kpt_shape` in data.yaml; 0 where it speaks of none."""
    path = root / "data.yaml"
    try:
        content = yaml.safe_load(path.read_bytes()) if path.stat().st_size <= MAX_FILE_BYTES else None
    except (OSError, *_PARSE_ERRORS):
        return 0  # `read_names` says what is wrong with it
    shape = content.get("kpt_shape") if isinstance(content, dict) else None
    if not (isinstance(shape, list) and len(shape) == 2 and all(isinstance(side, int) for side in shape)):
        return 0
    return 5 + int(shape[0]) * int(shape[1])


def renamed(names: Sequence[str], rename: Mapping[str, str], dataset: str, kind: Kind = "increment") -> tuple[str, ...]:
    """Names in the line's words, one for each of `names`; two that get the same word stand for one class.

    Raises:
        BadDataError: the map renames a class that the delivery does not have.
    """
    for old in rename:
        if old not in names:
            near = difflib.get_close_matches(old, names, n=1)
            hint = f"Did you mean {near[0]!r}? " if near else ""
            mend = f"{hint}The delivery names {', '.join(map(repr, names))}; its map is {_map_field(kind)}."
            raise BadDataError(f"{dataset}/classes", f"renames {old!r}, a class that the delivery does not have", mend)
    return tuple(rename.get(name, name) for name in names)


def unite(known: Sequence[str], *datasets: DataSet) -> tuple[str, ...]:
    """The union of class names: known ones first and in their order, then new ones as they appear.

    Raises:
        BadDataError: a new name equals another but for case, spaces, hyphens or underscores: renamed, most likely, and
            learned as a class of its own it would make the old one wrong.
    """
    union = list(known)
    spelling = {normalised(name): name for name in reversed(union)}
    for dataset in datasets:
        for name in dataset.names:
            if name in union:
                continue
            if (other := spelling.get(normalised(name))) is not None:
                raise _class_renamed(dataset, name, other)
            union.append(name)
            spelling[normalised(name)] = name
    return tuple(union)


def remap(boxes: Boxes, from_names: Sequence[str], to_names: Sequence[str], *, drop_unknown: bool = False) -> Boxes:
    """The same boxes, shape (n, 5), with classes as indexes into `to_names`; matched by name.

    Boxes of a class that `to_names` lacks are dropped where `drop_unknown` says so.

    Raises:
        ValueError: such a box, and nobody said to drop it.
    """
    index = {name: position for position, name in enumerate(to_names)}
    table = np.array([index.get(name, -1) for name in from_names], dtype=np.int64)
    classes = table[boxes[:, 0].astype(np.int64)]
    if not drop_unknown and (classes < 0).any():
        missing = from_names[int(boxes[int(np.argmax(classes < 0)), 0])]
        raise ValueError(f"class {missing!r} is not among {list(to_names)}")
    mapped = boxes.copy()
    mapped[:, 0] = classes
    return mapped[classes >= 0]


def normalised(name: str) -> str:
    """A name as people hear it: without case, and with spaces, hyphens and underscores alike."""
    return re.sub(r"[\s_-]+", " ", unicodedata.normalize("NFKC", name).casefold()).strip()


def _map_field(kind: Kind) -> str:
    return "spec.evaluation.holdouts[].classes" if kind == "holdout" else "spec.increments[].classes"


def _class_renamed(dataset: DataSet, name: str, other: str) -> BadDataError:
    found = f"class renamed: {name!r} here, {other!r} in the line, spelled differently"
    mapping = json.dumps({name: other}, ensure_ascii=False)
    what = "hold-out" if dataset.kind == "holdout" else "increment"
    field = _map_field(dataset.kind).partition("[")[0]
    mend = f"Set `classes: {mapping}` at this {what} in {field}, or correct the delivery's class names."
    return BadDataError(dataset.name, found, mend)


def _read_file(path: Path, where: str) -> tuple[str, ...]:
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise BadDataError(where, f"more than {MAX_FILE_BYTES} bytes, too large for class names", f"{_SHAPE}.")
        entries = _entries(path.name, path.read_bytes().decode("utf-8-sig"))
    except (OSError, *_PARSE_ERRORS) as error:
        raise BadDataError(where, f"can't be read as class names: {_one_line(error)}", f"{_SHAPE}.") from None
    if not isinstance(entries, list) or not entries:
        raise BadDataError(where, "holds no list of class names", f"{_SHAPE}.")
    return checked_names(entries, where)


def _entries(file: str, text: str) -> object:
    """The names as listed; a mapping from index to name, as ultralytics writes it, becomes a list."""
    if file == "classes.txt":
        return text.strip("\r\n").splitlines()
    if file == "names.json":
        names = json.loads(text)
    else:
        content = yaml.safe_load(text)
        names = content.get("names") if isinstance(content, dict) else None
    if not isinstance(names, dict):
        return names
    by_index = {int(key): name for key, name in names.items()}
    if sorted(by_index) != list(range(len(names))):
        raise ValueError("the indexes are not 0, 1, 2, ... without gaps")
    return [by_index[position] for position in range(len(by_index))]


def checked_names(entries: Sequence[object], where: str) -> tuple[str, ...]:
    """Class names as listed somewhere, stripped.

    Raises:
        BadDataError: one is no printable text of 1 to 100 characters, or stands there twice, case and the like aside.
    """
    names = tuple(_name(entry, position, where) for position, entry in enumerate(entries))
    seen: dict[str, str] = {}
    for name in names:
        if (other := seen.get(normalised(name))) is not None:
            found = f"duplicate class name: {name!r}" + ("" if name == other else f" beside {other!r}")
            raise BadDataError(where, found, "Give each class a name of its own, or merge the two in the labels.")
        seen[normalised(name)] = name
    return names


def _name(entry: object, position: int, where: str) -> str:
    if isinstance(entry, int) and not isinstance(entry, bool):  # digits are fair names: `names: [0, 1, 2]`
        entry = str(entry)
    if not isinstance(entry, str):
        found = f"class {position} is {reprlib.repr(entry)}, not text"
        raise BadDataError(where, found, "Put the name in quotes.")
    name = entry.strip()
    if not name or len(name) > MAX_NAME_CHARACTERS or not name.isprintable():
        found = f"class {position} has the name {reprlib.repr(entry)}"
        raise BadDataError(where, found, f"Names are 1 to {MAX_NAME_CHARACTERS} printable characters.")
    return name


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
