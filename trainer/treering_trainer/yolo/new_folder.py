"""A folder that a verb writes: refused where it is there, and there only when all went well."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from treering_api import IMAGE_SIZES, BadDataError, BadSpecError, Verification
from treering_trainer.dataset import DataSet, read_dataset


def refuse_place(out: Path) -> None:
    """Refuse a folder that is there, or whose parent is not.

    Raises:
        BadSpecError: names `--out`.
    """
    if out.exists():
        raise BadSpecError("--out", f"{out} is there already", "Give another name; nothing is written over.")
    if not out.parent.is_dir():
        raise BadSpecError("--out", f"the folder {out.parent} does not exist", "Make it, or give another one.")


@contextmanager
def new_folder(out: Path) -> Iterator[Path]:
    """A folder beside `out` that becomes it when the context ends without an error."""
    partial = out.with_name(f".{out.name}.partial").absolute()
    shutil.rmtree(partial, ignore_errors=True)
    try:
        yield partial
        partial.rename(out)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def labelled_data(folder: Path) -> DataSet:
    """A folder of labelled pictures in any known format, all splits as `val`.

    Raises:
        BadDataError: it can't be used; names the file.
    """
    checked = read_dataset(folder, folder.name, "holdout", Verification())
    for finding in checked.findings:
        if finding.severity == "error":
            raise BadDataError(finding.where, finding.found, finding.mend)
    return checked.dataset


def refuse_image_size(size: int | None) -> None:
    """Refuse what no network's input can be; None, the size of the training, can.

    Raises:
        BadSpecError: names `--image-size`; it is no multiple of 32 in 64 to 2048.
    """
    if size is not None and size not in IMAGE_SIZES:
        least, most = IMAGE_SIZES[0], IMAGE_SIZES[-1]
        mend = f"Give a multiple of {IMAGE_SIZES.step}, {least} to {most}."
        raise BadSpecError("--image-size", f"{size} pixels", mend)
