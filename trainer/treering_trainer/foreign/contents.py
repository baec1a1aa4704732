"""What a checkpoint holds: the one model that counts, its tensors by name, and what else takes how many bytes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from treering_trainer.foreign.plain import plain, printable, private_texts, storages_of
from treering_trainer.foreign.refusal import DEEPEST, MOST_CLASSES, MOST_TENSORS, OTHER_FILE, RefusedError, damaged
from treering_trainer.foreign.source import Source
from treering_trainer.foreign.tensors import TensorRecord
from treering_trainer.foreign.unpickling import Inert

MODEL_KEYS = ("ema", "model", "state_dict", "model_state_dict")
"""Where the weights lie, the best first: evaluation and deployment use the average (EMA)."""
TENSOR_NAME = re.compile(r"[\w\-]+(\.[\w\-]+)*")
WHOLE = "model"
KNOWN_ATTRIBUTES = ("yaml", "task", "nc", "args")
PUBLIC = ("docs", "license")
"""Entries with addresses that ultralytics writes into every file."""


@dataclass(frozen=True)
class Contents:
    """The tensors to hand out, and the description of all of it as plain data."""

    tensors: dict[str, TensorRecord]
    description: dict[str, Any]


def contents_of(source: Source) -> Contents:
    """Look through what was saved.

    Raises:
        RefusedError: there is no model in it.
    """
    several = isinstance(source.root, dict)
    holder = source.root if several else {WHOLE: source.root}
    if several and holder and all(isinstance(value, TensorRecord) for value in dict.values(holder)):
        holder = {WHOLE: holder}  # a bare state dict
    key = next((key for key in MODEL_KEYS if _is_model(dict.get(holder, key))), None)
    if key is None:
        kinds = ", ".join(f"{printable(str(name))[:30]}: {_kind(value)}" for name, value in [*dict.items(holder)][:8])
        raise RefusedError(f"holds no model ({kinds or 'nothing'})", OTHER_FILE)
    model = holder[key]
    tensors = dict(_walk(model))
    if not tensors:
        raise RefusedError("holds a model without tensors", OTHER_FILE)
    rest = {name: value for name, value in dict.items(holder) if name != key}
    attributes = model.attributes() if isinstance(model, Inert) else {}
    description = {
        "container": source.container,
        "saved_as": model.origin if isinstance(model, Inert) else "tensors by name",
        "taken_from": key,
        "layers": _layers(attributes),
        "classes": _class_names(attributes.get("names")),
        "attributes": {name: plain(attributes[name]) for name in KNOWN_ATTRIBUTES if name in attributes},
        "parts": [*_parts(key, model, tensors, rest), _structure(source)],
        "private": private_texts([*_told(rest, PUBLIC), *_told(attributes, ("_modules", "names"))]),
        "tensors": [
            {"name": name, "dtype": record.storage.dtype, "shape": record.shape} for name, record in tensors.items()
        ],
    }
    return Contents(tensors, description)


def _told(entries: Mapping[Any, Any], but: tuple[str, ...]) -> list[Any]:
    plain: Any = entries
    return [value for name, value in dict.items(plain) if name not in but]


def _is_model(value: object) -> bool:
    if isinstance(value, Inert):
        return isinstance(value.attributes().get("_modules"), dict)
    return isinstance(value, dict) and any(isinstance(item, TensorRecord) for item in dict.values(value))


def _walk(model: object) -> Iterator[tuple[str, TensorRecord]]:
    """Tensors by the names that torch's `state_dict` gives them."""
    found = 0
    waiting: list[tuple[str, object, int]] = [("", model, 0)]
    while waiting:
        prefix, holder, depth = waiting.pop()
        if depth > DEEPEST:
            raise damaged(f"its modules lie more than {DEEPEST} deep in each other")
        for name, record in _own_tensors(holder):
            found += 1
            if found > MOST_TENSORS:
                raise damaged(f"it has more than {MOST_TENSORS:,} tensors")
            if not TENSOR_NAME.fullmatch(prefix + name):
                raise damaged(f"it has a tensor of the name {(prefix + name)[:60]!a}")
            yield prefix + name, record
        children = holder.attributes().get("_modules") if isinstance(holder, Inert) else None
        if isinstance(children, dict):
            inner = [(f"{prefix}{name}.", child, depth + 1) for name, child in dict.items(children)]
            waiting.extend(reversed([item for item in inner if item[1] is not None]))
            if len(waiting) > MOST_TENSORS:
                raise damaged(f"it has more than {MOST_TENSORS:,} modules")


def _own_tensors(holder: object) -> Iterator[tuple[str, TensorRecord]]:
    if isinstance(holder, dict):
        groups, skipped = [holder], set[object]()
    elif isinstance(holder, Inert):
        attributes = holder.attributes()
        groups = [attributes.get("_parameters") or {}, attributes.get("_buffers") or {}]
        skipped = {name for name in attributes.get("_non_persistent_buffers_set") or () if isinstance(name, str)}
    else:
        return
    for group in groups:
        for name, value in dict.items(group) if isinstance(group, dict) else ():
            if isinstance(value, TensorRecord) and isinstance(name, str) and name not in skipped:
                yield name, value


def _layers(attributes: Mapping[str, Any]) -> list[str]:
    """Classes of the model's layers, in order: YOLO models keep them in a Sequential named `model`."""
    modules = attributes.get("_modules")
    inner = modules.get("model") if isinstance(modules, dict) else None
    layers = inner.attributes().get("_modules") if isinstance(inner, Inert) else None
    if not isinstance(layers, dict):
        return []
    return [layer.origin if isinstance(layer, Inert) else "" for layer in dict.values(layers)]


def _class_names(names: object) -> list[str]:
    listed = [names[key] for key in sorted(names, key=_as_number)] if isinstance(names, dict) else names
    if not isinstance(listed, list | tuple):
        return []
    if len(listed) > MOST_CLASSES:
        raise damaged(f"it has {len(listed):,} class names, {MOST_CLASSES:,} are allowed")
    return [printable(str(plain(name, 0))) for name in listed]


def _as_number(key: object) -> int:
    try:
        return int(key) if isinstance(key, int | str) else 0
    except ValueError:
        return 0


def _parts(key: str, model: object, tensors: dict[str, TensorRecord], rest: dict[Any, Any]) -> Iterator[dict[str, Any]]:
    """Each top-level entry with the bytes of its own storages; one that is shared counts where it is seen first."""
    counted = {record.storage.key: record.storage for record in tensors.values()}
    yield {"name": key, "kind": "weights", "size_bytes": sum(ref.size_bytes for ref in counted.values())}
    inner = {ref_key: ref for ref_key, ref in storages_of(model).items() if ref_key not in counted}
    if inner:
        yield {
            "name": f"{key}: not in its state",
            "kind": "other",
            "size_bytes": sum(ref.size_bytes for ref in inner.values()),
        }
    counted |= inner
    for name, value in rest.items():
        if value is None:
            continue
        own = {ref_key: ref for ref_key, ref in storages_of(value).items() if ref_key not in counted}
        counted |= own
        size = sum(ref.size_bytes for ref in own.values()) or len(json.dumps(plain(value)))
        yield {"name": printable(str(name))[:40], "kind": _part_kind(str(name), value), "size_bytes": size}


def _part_kind(name: str, value: object) -> str:
    if name in ("optimizer", "scaler", "updates", "scheduler"):
        return "optimizer"
    if _is_model(value):
        return "second copy"
    return "arguments" if name in ("opt", "train_args", "git", "hyp", "wandb_id") else "notes"


def _structure(source: Source) -> dict[str, Any]:
    return {"name": "names and structure", "kind": "structure", "size_bytes": source.structure_bytes}


def _kind(value: object) -> str:
    if isinstance(value, TensorRecord):
        return "a tensor"
    return value.origin if isinstance(value, Inert) else type(value).__name__
