"""fetch: everything a round needs, pulled into the work folder; unchanged objects are not pulled twice.

Asking costs little, so each try at a round asks again. Where a delivery changed since the last one (its labels were
mended, most likely), what was made of the old one is done anew.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from treering_api import BadDataError, Increment, ModelRef, StoreError
from treering_trainer.dataset import ACCEPTED, Kind, is_picture, wanted_keys
from treering_trainer.line import MANIFEST
from treering_trainer.memory import Learned, Memory
from treering_trainer.progress import Message
from treering_trainer.records import AnalyseRecord, FetchRecord
from treering_trainer.stages.donors import donor_stamps, fetch_donors
from treering_trainer.stages.keeping import KEPT, OPTIMIZER
from treering_trainer.stages.weights import fetch_teachers, fetch_weights, named, teacher_stamps, weights_place
from treering_trainer.stages.workbench import Workbench
from treering_trainer.store import (
    NoStoreError,
    NotFoundError,
    ObjectInfo,
    Pulled,
    Store,
    Transferred,
    open_store,
    pull,
    read_manifest,
    sha256_of,
    write_atomic,
)

MEMORY = "memory.json"
VAL = "val.json"
LEARNED = "learned.json"
STATISTICS = "statistics.json"
_STAMPS, _HISTORY_STAMPS = "fetched.json", "history-fetched.json"
MODEL_FILES = ("model.safetensors", "model.json", MEMORY, VAL, LEARNED, STATISTICS, KEPT, OPTIMIZER)
_OPTIONAL = (LEARNED, STATISTICS, KEPT, OPTIMIZER)  # older rounds lack the first two; not every round keeps something


@dataclass(frozen=True)
class Source:
    """A delivery or a hold-out, and the field that names it."""

    kind: Kind
    name: str
    uri: str
    field: str


@dataclass(frozen=True)
class Fetched:
    """A source in the work folder; the stamp changes with any of its objects."""

    pulled: Pulled
    stamp: str


def fetch(bench: Workbench) -> FetchRecord:
    """Pull the weights to start from, teachers, the bank, the round's increments and the hold-outs."""
    start_s = time.monotonic()
    pulled = _fetch_models(bench)
    sources = [*increment_sources(bench, bench.plan.increments), *holdout_sources(bench)]
    fetched = {f"{source.kind}/{source.name}": fetch_source(bench, source) for source in sources}
    pulled += [source.pulled for source in fetched.values()]
    pulled += fetch_unlabelled(bench)
    stamps = {name: source.stamp for name, source in fetched.items()}
    _start_anew_if_changed(bench, stamps | _weights_stamps(bench))
    _fetch_history_again(bench)
    return FetchRecord(
        objects=sum(part.objects for part in pulled),
        size_bytes=sum(part.size_bytes for part in pulled),
        from_cache=sum(part.from_cache for part in pulled),
        duration_s=time.monotonic() - start_s,
    )


def increment_sources(bench: Workbench, increments: Iterable[Increment]) -> list[Source]:
    """Where increments are delivered."""
    places = {increment.name: place for place, increment in enumerate(bench.plan.spec.increments)}
    return [
        Source("increment", item.name, item.uri, f"spec.increments[{places.get(item.name, item.name)}].uri")
        for item in increments
    ]


def holdout_sources(bench: Workbench) -> list[Source]:
    """Where hold-outs lie."""
    return [
        Source("holdout", item.name, item.uri, f"spec.evaluation.holdouts[{place}].uri")
        for place, item in enumerate(bench.plan.spec.evaluation.holdouts)
    ]


def fetch_source(bench: Workbench, source: Source) -> Fetched:
    """Pull the images, labels and class names of one delivery.

    Raises:
        BadDataError: there is nothing in it, or it is in no format or in two.
        StoreError: it can't be read; names the field that names it.
    """
    store = open_store(source.uri, bench.connection)
    with named(source.field):
        objects = {info.key: info for info in store.list()}
    keys = wanted_keys(objects, source.kind, source.field)
    if not any(is_picture(key) for key in keys):
        raise BadDataError(
            source.field,
            f"no images under {source.uri} ({len(objects)} objects in all)",
            f"Deliver images/train/*.jpg, labels/train/*.txt and names.json there, or mend the URI. {ACCEPTED}",
        )
    folder = bench.data_folder(source.kind, source.name)
    _remove_strays(folder, keys)
    wanted = [objects[key] for key in keys]
    with named(source.field):
        pulled = _pull(bench, store, {key: folder / key for key in keys}, source.name, listing=wanted)
    return Fetched(pulled, _stamp(source.uri, wanted))


def fetch_unlabelled(bench: Workbench) -> list[Pulled]:
    """Pull pictures that nobody has labelled: of each folder as many as the spec says, by their names' hash."""
    cases = bench.plan.spec.cases
    pulled = []
    for place, item in enumerate(cases.unlabelled if cases is not None and cases.enabled else ()):
        store = open_store(item.uri, bench.connection)
        with named(f"spec.cases.unlabelled[{place}].uri"):
            objects = {info.key: info for info in store.list() if is_picture(info.key)}
        if not objects:
            raise BadDataError(
                f"spec.cases.unlabelled[{place}].uri",
                f"no pictures under {item.uri}",
                "Mend the URI, or remove the entry",
            )
        assert cases is not None
        keys = sorted(objects, key=lambda key: hashlib.sha256(key.encode()).digest())[: cases.looked_at]
        folder = bench.data_folder("unlabelled", item.name)
        _remove_strays(folder, keys)
        with named(f"spec.cases.unlabelled[{place}].uri"):
            wanted = {key: folder / key for key in keys}
            pulled.append(_pull(bench, store, wanted, item.name, listing=[objects[key] for key in keys]))
    return pulled


def fetch_for_training(bench: Workbench) -> None:
    """Pull what a node needs that only trains: no hold-outs, and nothing is judged by it."""
    _fetch_models(bench)
    for source in increment_sources(bench, bench.plan.increments):
        fetch_source(bench, source)


def fetch_for_full(bench: Workbench) -> None:
    """Pull what only full retraining needs: the base weights and every increment learned so far."""
    _fetch_base(bench)
    stamps = {source.name: fetch_source(bench, source).stamp for source in increment_sources(bench, bench.plan.history)}
    write_atomic(bench.folder / _HISTORY_STAMPS, json.dumps(stamps, sort_keys=True).encode())


def fetch_memory(bench: Workbench) -> None:
    """Pull what the line remembers, without its model: enough to check a delivery against it."""
    _fetch_published(bench, (MEMORY, VAL, LEARNED))
    _fetch_bank(bench)


def current_folder(bench: Workbench) -> Path:
    """Where the published model lies in the work folder."""
    base = bench.plan.base
    assert isinstance(base, ModelRef), "the line has no model yet"
    return bench.shared / "models" / f"{base.round:04d}-{base.digest[:12]}"


def base_path(bench: Workbench) -> Path:
    """Where the base weights lie in the work folder."""
    _, name = weights_place(bench.plan.spec.model.base)
    return bench.shared / "models" / "base" / name.rsplit("/", 1)[-1]


def read_memory(path: Path) -> Memory:
    """A memory file of a published round."""
    return Memory.model_validate_json(path.read_bytes())


def keeps_pictures(bench: Workbench) -> bool:
    """Whether the line's store may hold pictures."""
    return bench.plan.spec.policies.memory == "images"


def line_memory(bench: Workbench, name: str) -> Memory:
    """What the line has at hand of `MEMORY` or `VAL`: nothing before its first model, or where it keeps no pictures."""
    if isinstance(bench.plan.base, str) or not keeps_pictures(bench):
        return Memory()
    return read_memory(current_folder(bench) / name)


def read_learned(folder: Path) -> Learned:
    """What a published round had learned by then; rounds of older versions do not say."""
    path = folder / LEARNED
    return Learned.model_validate_json(path.read_bytes()) if path.exists() else Learned()


def _weights_stamps(bench: Workbench) -> dict[str, str]:
    """Change with the weights that the round starts or learns from; an official name always means the same ones."""
    if bench.merges:
        return teacher_stamps(bench) | donor_stamps(bench)
    first = isinstance(bench.plan.base, str) and "://" in bench.plan.spec.model.base
    return teacher_stamps(bench) | ({"base": sha256_of(base_path(bench))} if first else {})


def _fetch_models(bench: Workbench) -> list[Pulled]:
    """What the round starts and learns from; of a merge round the base is the first donor."""
    if bench.merges:
        return [*fetch_donors(bench), *fetch_teachers(bench)]
    first = isinstance(bench.plan.base, str)
    own = [_fetch_base(bench)] if first else [_fetch_published(bench), _fetch_bank(bench)]
    return [*own, *fetch_teachers(bench)]


def _fetch_base(bench: Workbench) -> Pulled:
    uri = bench.plan.spec.model.base
    if "://" not in uri:
        return Pulled(objects=0, size_bytes=0, from_cache=0)  # a name that ultralytics knows
    return fetch_weights(bench, uri, base_path(bench), "spec.model.base")


def _fetch_published(bench: Workbench, names: tuple[str, ...] = MODEL_FILES) -> Pulled:
    """Files of the current model, as its manifest describes them; the lineage vouches for the manifest."""
    base, folder = bench.plan.base, current_folder(bench)
    assert isinstance(base, ModelRef)
    store, what = bench.line.model_folder(base), f"model of round {base.round}"
    with _belonging(what):
        manifest = read_manifest(store, MANIFEST, sha256=base.digest)
    names = tuple(name for name in names if name not in _OPTIONAL or name in manifest.files)
    if bench.plan.spec.training.optimizer_state == "fresh":
        names = tuple(name for name in names if name != OPTIMIZER)
    pulled = _pull(bench, store, {name: folder / name for name in names}, what)
    for name in names:
        _ensure(store, name, folder / name, manifest.files[name].sha256)
    return pulled


def _fetch_bank(bench: Workbench) -> Pulled:
    items = (*line_memory(bench, MEMORY).items, *line_memory(bench, VAL).items)
    bank = bench.line.bank()
    pulled = _pull(bench, bank, {item.key: bench.bank / item.key for item in items}, "memory")
    for item in items:
        _ensure(bank, item.key, bench.bank / item.key, item.sha256)
    return pulled


def _ensure(store: Store, key: str, path: Path, sha256: str) -> None:
    """Fetch a file again that is not what it should be; IntegrityError where the store's own object is not."""
    if sha256_of(path) != sha256:
        store.get_file(key, path, sha256=sha256)


def _pull(
    bench: Workbench, store: Store, wanted: dict[str, Path], what: str, listing: list[ObjectInfo] | None = None
) -> Pulled:
    done = itertools.count(1)

    def tell(_: Transferred) -> None:
        bench.progress("fetch", next(done), len(wanted), "objects", what)

    with _belonging(what):
        return pull(store, wanted, listing=listing, on_object=tell)


@contextmanager
def _belonging(what: str) -> Iterator[None]:
    try:
        yield
    except NotFoundError as error:
        raise StoreError(
            error.where, f"{error.found} ({what})", "It was there a moment ago or belongs to the line: restore it"
        ) from error


def _stamp(uri: str, objects: Iterable[ObjectInfo]) -> str:
    text = json.dumps([uri, [[info.key, info.etag] for info in objects]])
    return hashlib.sha256(text.encode()).hexdigest()


def _start_anew_if_changed(bench: Workbench, stamps: dict[str, str]) -> None:
    seen = bench.folder / _STAMPS
    text = json.dumps(stamps, sort_keys=True).encode()
    if seen.exists() and seen.read_bytes() != text:
        _start_anew(bench, "a delivery, a hold-out, a teacher or the base weights changed")
    write_atomic(seen, text)


def _fetch_history_again(bench: Workbench) -> None:
    """A full round that goes on needs what was learned before: in this folder, and as it was when the round began."""
    analysis = bench.find("analyse")
    if not isinstance(analysis, AnalyseRecord) or analysis.strategy != "full" or not bench.plan.history:
        return
    stamps = bench.folder / _HISTORY_STAMPS
    before = stamps.read_bytes() if stamps.exists() else b""
    try:
        fetch_for_full(bench)
    except (NoStoreError, BadDataError) as error:
        _start_anew(bench, f"what was learned before can't be had again ({error.where}: {error.found})")
        return
    if stamps.read_bytes() != before:
        _start_anew(bench, "a delivery that was learned before changed")


def _start_anew(bench: Workbench, why: str) -> None:
    bench.forget()
    bench.observer(Message("info", f"{why} since the round began: it begins anew"))


def _remove_strays(folder: Path, keys: list[str]) -> None:
    wanted = {folder / key for key in keys}
    for path in folder.glob("**/*") if folder.exists() else ():
        if path.is_file() and path not in wanted and not path.name.startswith("."):
            path.unlink()
