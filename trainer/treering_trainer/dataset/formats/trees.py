"""YOLO labels in other places: Roboflow's train/images beside train/labels, and CVAT's obj_train_data.

The label files are read as those of the YOLO layout; only where they lie differs.
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from treering_api.errors import BadDataError
from treering_trainer.dataset.formats.pictures import Pictures
from treering_trainer.dataset.formats.recognition import DARKNET, YOLO_TREE, Format, darknet_split
from treering_trainer.dataset.formats.splits import SplitWord, split_word
from treering_trainer.dataset.names import checked_names, read_names

_MAX_BYTES = 1024 * 1024


def tree_entries(row: Format, pictures: Pictures) -> list[tuple[str, SplitWord, Path | None]]:
    """Each picture by key with its split and its label file, if one came."""
    found: list[tuple[str, SplitWord, Path | None]] = []
    for key in sorted(key for key in pictures.keys if row.holds(PurePosixPath(key))):
        path = PurePosixPath(key)
        parts = list(path.parts)
        if row is YOLO_TREE:
            parts[1] = "labels"
        label = pictures.files.get(PurePosixPath(*parts).with_suffix(".txt").as_posix())
        found.append((key, _split(row, path.parts[0]), label))
        pictures.used.add(key)
    return found


def tree_names(row: Format, root: Path, name: str) -> tuple[str, ...]:
    """Class names of such a tree: from obj.names, one a line, or from the usual files.

    Raises:
        BadDataError: there are none, or they can't be used.
    """
    if row is not DARKNET:
        return read_names(root, name)
    path, where = root / "obj.names", f"{name}/obj.names"
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise BadDataError(where, f"more than {_MAX_BYTES} bytes, too large for class names", "One name a line.")
        lines = path.read_bytes().decode("utf-8-sig").strip("\r\n").splitlines()
    except FileNotFoundError:
        raise BadDataError(
            where, "no class names: the file did not come", "Deliver obj.names, one name a line."
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise BadDataError(
            where, f"can't be read as class names: {error}", "Write one name a line, as UTF-8."
        ) from None
    return checked_names([*lines], where)


def _split(row: Format, folder: str) -> SplitWord:
    word = split_word(darknet_split(folder) or "") if row is DARKNET else split_word(folder)
    return word or "train"
