"""YOLO labels in other trees: `train/images` beside `train/labels` (Roboflow), or pictures beside their text files
(Darknet, CVAT's YOLO export). The rows are YOLO's own and read as those are."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import yaml

from treering_trainer.dataset.formats.marks import Found, Pictures, Split, Tally, UnreadableError, split_of

NAME_LISTS = ("obj.names", "_darknet.labels", "classes.txt", "classes.names")
MOST_BYTES = 1024 * 1024


def read_tree(
    root: Path, keys: list[PurePosixPath], pictures: Pictures, tally: Tally, label: str
) -> tuple[Found, dict[Path, Path]]:
    """The pictures of a tree, and the label file of each that has one.

    Args:
        keys: all files.

    Raises:
        UnreadableError: there are no class names.
    """
    names = _names(root, keys)
    texts = {key for key in keys if key.suffix == ".txt"}
    files: dict[Path, Path] = {}
    splits: dict[Path, Split] = {}
    for path in pictures.paths:
        key = PurePosixPath(path.relative_to(root).as_posix())
        splits[path] = split_of(key)
        for place in (key.parent, key.parent.parent / "labels"):
            if (text := place / f"{key.stem}.txt") in texts:
                files[path] = root / text
                break
    del tally
    return Found(label, names, {}, splits), files


def _names(root: Path, keys: list[PurePosixPath]) -> tuple[str, ...]:
    for key in sorted(keys, key=lambda key: len(key.parts)):
        if key.name in NAME_LISTS:
            text = _text(root / key, str(key))
            return tuple(line.strip() for line in text.splitlines() if line.strip())
        if key.name in ("data.yaml", "data.yml"):
            return _from_yaml(_text(root / key, str(key)), str(key))
    raise UnreadableError("class names", f"none of data.yaml, {', '.join(NAME_LISTS)} is there", "Deliver one of them.")


def _text(path: Path, where: str) -> str:
    if path.stat().st_size > MOST_BYTES:
        raise UnreadableError(where, f"more than {MOST_BYTES:,} bytes of class names", "Deliver the right file.")
    return path.read_text(encoding="utf-8-sig", errors="replace")


def _from_yaml(text: str, where: str) -> tuple[str, ...]:
    try:
        names = (yaml.safe_load(text) or {}).get("names")
    except (yaml.YAMLError, AttributeError, ValueError, RecursionError) as error:
        raise UnreadableError(where, f"it is no YAML mapping ({str(error)[:80]})", "Correct it.") from error
    if isinstance(names, dict) and all(isinstance(key, int) for key in names):
        names = [names[key] for key in sorted(names)]
    if not isinstance(names, list) or not names or not all(isinstance(name, str | int) for name in names):
        raise UnreadableError(where, "`names` is no list of class names", "Write `names: [ace, king]`.")
    return tuple(str(name) for name in names)
