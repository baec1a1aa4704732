"""The pictures that came with a delivery, and which of them an annotation file means.

A name from an annotation file is only ever looked up in this list. It never becomes a path of its own, so whatever it
says, no other file is touched; names that try to lead elsewhere are refused aloud all the same.
"""

from __future__ import annotations

import os
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath, PureWindowsPath

from treering_trainer.dataset.formats.recognition import is_picture
from treering_trainer.records import Finding


@dataclass
class Pictures:
    """Files of a delivery by key, and the findings about what was asked for.

    Attributes:
        files: every regular file below the root; symbolic links are not followed.
    """

    root: Path
    name: str
    files: dict[str, Path]
    findings: list[Finding] = field(default_factory=list)
    used: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.keys = [key for key in self.files if is_picture(key)]
        self._by_name: dict[str, list[str]] = defaultdict(list)
        for key in self.keys:
            self._by_name[PurePosixPath(key).name].append(key)

    def named(self, name: str) -> list[str]:
        """The keys of all pictures with a file name."""
        return self._by_name.get(name, [])

    def find(self, stated: str, where: str, folders: tuple[str, ...] = ()) -> str | None:
        """The key of the picture that an annotation file calls `stated`, tried in `folders` first.

        None, and a finding, where the name leads out of the delivery (`UnsafePath`, an error), where no such picture
        came (`PictureAbsent`) or where several could be meant (`AmbiguousPicture`, an error).
        """
        path = PurePosixPath(stated.replace("\\", "/"))
        if path.is_absolute() or PureWindowsPath(stated).drive or ".." in path.parts or "\0" in stated:
            found = f"names the picture {_shown(stated)}, which leads out of the delivery"
            self._add("error", "UnsafePath", where, found, "Write names relative to the delivery's folder, without ..")
            return None
        for folder in folders:
            if (key := (PurePosixPath(folder) / path).as_posix()) in self.files and is_picture(key):
                return key
        fitting = [key for key in self.named(path.name) if PurePosixPath(key).parts[-len(path.parts) :] == path.parts]
        if len(fitting) == 1:
            return fitting[0]
        if fitting:
            found = f"{_shown(stated)} could be {' or '.join(sorted(fitting)[:4])}"
            self._add("error", "AmbiguousPicture", where, found, "Write the names with their folders.")
        else:
            found = f"names the picture {_shown(stated)}, which did not come"
            self._add("warning", "PictureAbsent", where, found, "Deliver the picture too, or take its entry away.")
        return None

    def tell_unused(self, why: str) -> None:
        """A warning for each picture that no annotation file named."""
        for key in sorted(set(self.keys) - self.used):
            found, mend = f"{why}; it is not used", "Annotate it, with no object if nothing is to be seen."
            self._add("warning", "PictureNotListed", f"{self.name}/{key}", found, mend)

    def _add(self, severity: str, code: str, where: str, found: str, mend: str) -> None:
        self.findings.append(
            Finding.model_validate({"severity": severity, "code": code, "where": where, "found": found, "mend": mend})
        )


def pictures_below(root: Path, name: str) -> Pictures:
    """List a delivery's files. Hidden ones are nobody's data; a symbolic link is refused by a finding."""
    files: dict[str, Path] = {}
    linked: list[str] = []
    for folder, folders, names in os.walk(root):
        here = Path(folder)
        folders[:] = sorted(item for item in folders if not item.startswith("."))
        for item in (*folders, *sorted(names)):
            if item.startswith("."):
                continue
            path = here / item
            key = path.relative_to(root).as_posix()
            if path.is_symlink():
                linked.append(key)
            elif path.is_file():
                files[key] = path
    listing = Pictures(root, name, files)
    mend = "Copy what it points at into the delivery."
    for key in linked:
        listing._add("error", "SymbolicLink", f"{name}/{key}", "a symbolic link, which is not followed", mend)
    return listing


def _shown(text: str) -> str:
    return repr(text if len(text) <= 80 else f"{text[:80]}...")
