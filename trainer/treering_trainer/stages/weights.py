"""Weight files that a spec names by URI, pulled into the work folder: the base's, and those of further teachers.

Called by `fetch`, which starts a round anew where one of them changed; read by `models`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote

from treering_api import BadSpecError, Distill, StoreError
from treering_trainer.stages.workbench import Workbench
from treering_trainer.store import NotFoundError, Pulled, open_store, pull, sha256_of


def fetch_weights(bench: Workbench, uri: str, path: Path, field: str) -> Pulled:
    """Pull one file, unless it is there and unchanged.

    Raises:
        BadSpecError: there is no such file.
        StoreError: it can't be read; names the field that names it.
    """
    parent, name = weights_place(uri)
    store = open_store(parent, bench.connection)
    try:
        with named(field):
            return pull(store, {name: path})
    except NotFoundError as error:
        raise BadSpecError(field, f"{uri} does not exist", "Mend the URI or upload the weights") from error


def weights_place(uri: str) -> tuple[str, str]:
    """Folder and name of a weight file; `open_store` decodes the folder of a file:// URI, so the name is, too."""
    parent, _, name = uri.rpartition("/")
    return parent, unquote(name) if uri.startswith("file://") else name


def teacher_fields(bench: Workbench) -> dict[str, str]:
    """Further teachers of the round: by URI, the field that names it."""
    settings: Distill | None = bench.plan.spec.policies.resolve().distill
    if settings is None or not settings.enabled:
        return {}
    return {
        teacher.uri: f"spec.policies.distill.teachers[{place}].uri" for place, teacher in enumerate(settings.teachers)
    }


def fetch_teachers(bench: Workbench) -> list[Pulled]:
    """Pull further teachers; those that ultralytics knows by name it fetches itself, when they are loaded."""
    return [
        fetch_weights(bench, uri, teacher_path(bench, uri), field)
        for uri, field in teacher_fields(bench).items()
        if "://" in uri
    ]


def teacher_path(bench: Workbench, uri: str) -> Path:
    """Where a teacher's weights lie in the work folder."""
    return weights_path(bench, "teachers", uri)


def weights_path(bench: Workbench, group: str, uri: str) -> Path:
    """Where weights of a URI lie in the work folder; two of a group may have the same file name."""
    folder = hashlib.sha256(uri.encode()).hexdigest()[:12]
    return bench.shared / "models" / group / folder / weights_place(uri)[1].rsplit("/", 1)[-1]


def teacher_stamps(bench: Workbench) -> dict[str, str]:
    """By teacher, what changes with its weights; a name that ultralytics knows always means the same ones."""
    return {f"teacher/{uri}": sha256_of(teacher_path(bench, uri)) for uri in teacher_fields(bench) if "://" in uri}


@contextmanager
def named(field: str) -> Iterator[None]:
    """Put the field of the spec before the URI that it names."""
    try:
        yield
    except StoreError as error:
        error.where = f"{field}: {error.where}"
        raise
