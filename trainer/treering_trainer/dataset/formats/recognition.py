"""What lies where in each accepted format: a small table over keys, so that a store need not be read to be understood.

`fetch` asks `wanted_keys`; `discovery` feeds `Recognition` key by key and holds none of them; `load` asks again for
the files that have come. COCO and Label Studio are both JSON and are told apart when the file is opened.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from treering_api.errors import BadDataError
from treering_trainer.dataset.formats.splits import split_of_folders, split_word
from treering_trainer.dataset.layout import IMAGE_SUFFIXES, NAMES_FILES, is_native
from treering_trainer.dataset.samples import Kind

ACCEPTED = (
    "Accepted are: YOLO (images/train + labels/train, or train/images + train/labels, with names.json, data.yaml or "
    "classes.txt; obj.names + obj_train_data), COCO (annotations/*.json, or _annotations.coco.json beside the "
    "pictures), Pascal VOC (Annotations/*.xml + JPEGImages, or x.xml beside x.jpg), CVAT (annotations.xml + images), "
    "Label Studio (its JSON or JSON-MIN + pictures)"
)
CVAT_FILE = "annotations.xml"
_NO_LABELS = ("names.json", "notes.json", "info.json", "package.json")
_DARKNET = {"obj_train_data": "train", "obj_valid_data": "val", "obj_val_data": "val", "obj_test_data": "test"}

Test = Callable[[PurePosixPath], bool]


@dataclass(frozen=True)
class Format:
    """One row of the table.

    Attributes:
        name: what findings and errors call it.
        marks: whether a key can only belong to a data set in this format.
        suggests: whether a key belongs to one if nothing else is marked.
        holds: whether a key is a picture of such a data set.
        needs: whether a key is worth fetching beside the pictures.
    """

    name: str
    marks: Test
    suggests: Test
    holds: Test
    needs: Test


def is_picture(key: str | PurePosixPath) -> bool:
    """Whether a key has the suffix of a picture."""
    return PurePosixPath(key).suffix.lower() in IMAGE_SUFFIXES


def darknet_split(folder: str) -> str | None:
    """The split of a folder `obj_train_data` and the like."""
    return _DARKNET.get(folder.casefold())


def _in_tree(key: PurePosixPath, inner: str) -> bool:
    return len(key.parts) > 2 and split_word(key.parts[0]) is not None and key.parts[1] == inner


def _never(_: PurePosixPath) -> bool:
    return False


def _is_names(key: PurePosixPath) -> bool:
    return len(key.parts) == 1 and key.name in NAMES_FILES


def _is_darknet(key: PurePosixPath) -> bool:
    return len(key.parts) > 1 and darknet_split(key.parts[0]) is not None


def _is_json(key: PurePosixPath) -> bool:
    return key.suffix.lower() == ".json" and (_in_annotations(key) or key.name.lower().endswith(".coco.json"))


def _is_loose_json(key: PurePosixPath) -> bool:
    return len(key.parts) == 1 and key.suffix.lower() == ".json" and key.name not in _NO_LABELS


def _in_annotations(key: PurePosixPath) -> bool:
    return len(key.parts) == 2 and key.parts[0].lower() == "annotations"


def _is_cvat(key: PurePosixPath) -> bool:
    return key.as_posix() == CVAT_FILE


def _is_voc(key: PurePosixPath) -> bool:
    return key.suffix.lower() == ".xml" and not _is_cvat(key)


def _is_image_set(key: PurePosixPath) -> bool:
    return key.suffix.lower() == ".txt" and key.parts[:-1] == ("ImageSets", "Main")


YOLO = Format(
    "YOLO",
    marks=lambda key: key.parts[0] == "labels" and len(key.parts) > 1 and key.suffix.lower() == ".txt",
    suggests=lambda key: key.parts[0] == "images" and is_picture(key),
    holds=lambda key: key.parts[0] == "images" and is_picture(key),
    needs=_never,  # `is_native` has the whole of it
)
YOLO_TREE = Format(
    "YOLO in train/images, train/labels",
    marks=lambda key: _in_tree(key, "labels") and key.suffix.lower() == ".txt",
    suggests=lambda key: _in_tree(key, "images") and is_picture(key),
    holds=lambda key: _in_tree(key, "images") and is_picture(key),
    needs=lambda key: _is_names(key) or (_in_tree(key, "labels") and key.suffix.lower() == ".txt"),
)
DARKNET = Format(
    "YOLO in obj_train_data",
    marks=lambda key: (_is_darknet(key) and key.suffix.lower() == ".txt") or key.as_posix() == "obj.names",
    suggests=_never,
    holds=lambda key: _is_darknet(key) and is_picture(key),
    needs=lambda key: key.as_posix() == "obj.names" or (_is_darknet(key) and key.suffix.lower() == ".txt"),
)
JSON = Format(
    "COCO or Label Studio JSON",
    marks=_is_json,
    suggests=_is_loose_json,
    holds=is_picture,
    needs=lambda key: _is_json(key) or _is_loose_json(key) or _is_names(key),
)
VOC = Format(
    "Pascal VOC",
    marks=_is_voc,
    suggests=_never,
    holds=is_picture,
    needs=lambda key: _is_voc(key) or _is_image_set(key),
)
CVAT = Format("CVAT for images", marks=_is_cvat, suggests=_never, holds=is_picture, needs=_is_cvat)
FORMATS = (JSON, YOLO, YOLO_TREE, DARKNET, VOC, CVAT)
"""In the order in which a suggestion counts."""


class Recognition:
    """What a data set is, told from its keys one by one; holds one key for each format."""

    def __init__(self, kind: Kind) -> None:
        self._kind: Kind = kind
        self._marks: dict[str, str] = {}
        self._hints: set[str] = set()
        self._pictures = Counter[str]()
        self._any = 0

    def see(self, key: str) -> None:
        """Take in a key, relative to the data set's root."""
        path = PurePosixPath(key)
        if not path.parts or _hidden(path) or _of_test(path, self._kind):
            return
        self._any += is_picture(path)
        for row in FORMATS:
            if row.marks(path):
                self._marks[row.name] = min(key, self._marks.get(row.name, key))
            elif row.suggests(path):
                self._hints.add(row.name)
            self._pictures[row.name] += row.holds(path)

    def format(self, where: str) -> Format | None:
        """The format; None where there is no picture at all.

        Raises:
            BadDataError: marks of two formats, or pictures and nothing that says what they show.
        """
        if not self._any:
            return None
        if len(self._marks) > 1:
            listed = " and ".join(f"{name} ({key})" for name, key in sorted(self._marks.items()))
            raise BadDataError(where, f"two formats at once: {listed}", f"Take all but one away. {ACCEPTED}.")
        for row in FORMATS:
            if row.name in (self._marks or self._hints):
                return row
        raise BadDataError(where, f"{self._any} pictures, and labels in no known format", f"{ACCEPTED}.")

    def pictures(self) -> int:
        """How many pictures a round would be given; where the format is in doubt, how many there are."""
        try:
            row = self.format("")
        except BadDataError:
            return self._any
        return self._pictures[row.name] if row else 0


def recognise(keys: Iterable[str], kind: Kind, where: str) -> Format | None:
    """The format of a data set with these keys; errors as `Recognition.format`."""
    seen = Recognition(kind)
    for key in keys:
        seen.see(key)
    return seen.format(where)


def wanted_keys(keys: Iterable[str], kind: Kind = "increment", where: str = "data set") -> list[str]:
    """The keys of a data set, relative to its root, that are worth fetching, sorted; empty if there is no picture.

    Pictures, labels and class names in the places of the format that was recognised. The test split is left out,
    except for a hold-out. In the YOLO layout, folders that it does not know are in, so that `scan` can refuse them
    aloud.

    Raises:
        BadDataError: as `Recognition.format`; `where` names the data set.
    """
    listed = [*keys]
    row = recognise(listed, kind, where)
    if row is None or row is YOLO:
        return sorted(key for key in listed if is_native(PurePosixPath(key), kind))
    return sorted(key for key in listed if _wanted(PurePosixPath(key), row, kind))


def has_labels(root: Path) -> bool:
    """Whether a pulled data set brings labels of any kind, be they empty."""
    keys = (PurePosixPath(path.relative_to(root).as_posix()) for path in root.rglob("*") if path.is_file())
    return any(row.marks(key) or (row is JSON and row.suggests(key)) for key in keys for row in FORMATS)


def _wanted(key: PurePosixPath, row: Format, kind: Kind) -> bool:
    return not _hidden(key) and not _of_test(key, kind) and (row.holds(key) or row.needs(key))


def _hidden(key: PurePosixPath) -> bool:
    return any(part.startswith(".") for part in key.parts)


def _of_test(key: PurePosixPath, kind: Kind) -> bool:
    """Whether a key is of the test split, which belongs to nobody but a hold-out, or a test split's JSON."""
    if kind == "holdout" or key.parts[0] in ("ImageSets", "Annotations", "JPEGImages"):
        return False
    if split_of_folders(key) == "test" or (_is_darknet(key) and darknet_split(key.parts[0]) == "test"):
        return True
    return _in_annotations(key) and split_word(key.stem.split("_")[-1]) == "test"
