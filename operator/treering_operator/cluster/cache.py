"""What the operator knows of the cluster without asking: its lines as they are, their Jobs and pods as slim views.

Fed by kopf (lines), by watches (Jobs, pods) and by the answers to the operator's own writes; read by `observe` and the
metrics. Never goes back: of two versions of an object the higher one stays, and what was seen deleted stays so.
"""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterator
from collections.abc import Set as AbstractSet
from typing import Generic, Protocol, TypeVar

from treering_operator.cluster.api import JSON

Key = tuple[str, str]
"""Namespace and name of a line."""
_REMEMBERED_DELETIONS = 4096
_UNREAD_ANNOTATION = "kubectl.kubernetes.io/last-applied-configuration"


class View(Protocol):
    """What the views of children have in common."""

    @property
    def name(self) -> str:
        """Its name."""

    @property
    def namespace(self) -> str:
        """Its namespace."""

    @property
    def line(self) -> str:
        """Name of its line."""


V = TypeVar("V", bound=View)


class _Versions:
    """The newest version seen of each object, by UID; of the deleted ones, that they are."""

    def __init__(self) -> None:
        self._newest: dict[str, int] = {}
        self._deleted: OrderedDict[str, None] = OrderedDict()

    def advance(self, raw: JSON) -> bool:
        """Whether this is newer than everything seen of the object."""
        uid, version = raw["metadata"]["uid"], int(raw["metadata"]["resourceVersion"])
        if uid in self._deleted or version <= self._newest.get(uid, -1):
            return False
        self._newest[uid] = version
        return True

    def forget(self, uid: str) -> None:
        """The object is gone for good: UIDs never come back."""
        self._newest.pop(uid, None)
        self._deleted[uid] = None
        if len(self._deleted) > _REMEMBERED_DELETIONS:
            self._deleted.popitem(last=False)

    def older_than(self, version: int) -> list[str]:
        """UIDs whose newest version is at most this one."""
        return [uid for uid, newest in self._newest.items() if newest <= version]


class LineCache:
    """Lines as plain data, by namespace and name.

    Args:
        asked: told the key of each line that a user made, changed or deleted.
        changed: told the key of each line of which anything else changed, its status above all.
    """

    def __init__(self, asked: Callable[[Key], None], changed: Callable[[Key], None]) -> None:
        self._asked, self._changed = asked, changed
        self._versions = _Versions()
        self._lines: dict[Key, JSON] = {}

    def __len__(self) -> int:
        return len(self._lines)

    def __iter__(self) -> Iterator[JSON]:
        return iter(list(self._lines.values()))

    def get(self, key: Key) -> JSON | None:
        """A line as it is now."""
        return self._lines.get(key)

    def known(self) -> list[Key]:
        """All lines."""
        return list(self._lines)

    def put(self, raw: JSON) -> None:
        """A line as it is now, from a watch, a list or the answer to a write."""
        if not self._versions.advance(raw):
            return
        key = _key(raw)
        before = self._lines.get(key)
        if before is not None and before["metadata"]["uid"] != raw["metadata"]["uid"]:
            self._versions.forget(before["metadata"]["uid"])
        after = self._lines[key] = _slim(raw)
        if before is None or _wish(before) != _wish(after):
            self._asked(key)
        else:
            self._changed(key)

    def drop(self, raw: JSON) -> None:
        """A line that is gone."""
        self._versions.forget(raw["metadata"]["uid"])
        held = self._lines.get(_key(raw))
        if held is not None and held["metadata"]["uid"] == raw["metadata"]["uid"]:
            del self._lines[_key(raw)]
            self._asked(_key(raw))

    def keep(self, namespace: str, uids: AbstractSet[str], version: int) -> None:
        """Of the lines up to a version in a namespace (empty: everywhere), only these are there."""
        gone = set(self._versions.older_than(version)) - uids
        for raw in self:
            if raw["metadata"]["uid"] in gone and namespace in ("", raw["metadata"]["namespace"]):
                self.drop(raw)


class ChildCache(Generic[V]):
    """Views of one kind of children, by line.

    Args:
        view: makes the view of an object; None: not one of ours.
        changed: told the key of the line whose child came, changed or went.
    """

    def __init__(self, view: Callable[[JSON], V | None], changed: Callable[[Key], None]) -> None:
        self._view, self._changed = view, changed
        self._versions = _Versions()
        self._by_line: defaultdict[Key, dict[str, V]] = defaultdict(dict)
        self._line_of: dict[str, tuple[Key, str]] = {}

    def __len__(self) -> int:
        return len(self._line_of)

    def __iter__(self) -> Iterator[V]:
        return iter([view for views in self._by_line.values() for view in views.values()])

    def of(self, key: Key) -> tuple[V, ...]:
        """A line's children, by name."""
        views = self._by_line.get(key, {})
        return tuple(sorted(views.values(), key=lambda view: view.name))

    def put(self, raw: JSON) -> None:
        """A child as it is now."""
        if not self._versions.advance(raw):
            return
        view = self._view(raw)
        if view is None:
            return
        key, uid = (view.namespace, view.line), raw["metadata"]["uid"]
        known = self._line_of.get(uid)
        if known is not None and known[0] != key:
            self._remove(uid)
        before = self._by_line[key].get(uid)
        self._by_line[key][uid] = view
        self._line_of[uid] = (key, view.namespace)
        if before != view:
            self._changed(key)

    def drop(self, raw: JSON) -> None:
        """A child that is gone."""
        self._versions.forget(raw["metadata"]["uid"])
        self._remove(raw["metadata"]["uid"])

    def keep(self, namespace: str, uids: AbstractSet[str], version: int) -> None:
        """Of the children up to a version in a namespace (empty: everywhere), only these are there."""
        for uid in set(self._versions.older_than(version)) - uids:
            held = self._line_of.get(uid)
            if held is None or namespace in ("", held[1]):
                self._versions.forget(uid)
                self._remove(uid)

    def _remove(self, uid: str) -> None:
        key, _ = self._line_of.pop(uid, (None, ""))
        if key is None:
            return
        del self._by_line[key][uid]
        if not self._by_line[key]:
            del self._by_line[key]
        self._changed(key)


def _key(raw: JSON) -> Key:
    return raw["metadata"]["namespace"], raw["metadata"]["name"]


def _wish(raw: JSON) -> tuple[object, ...]:
    """What a user says of a line: changes of it are acted upon at once."""
    metadata = raw["metadata"]
    return metadata["uid"], metadata.get("generation"), metadata.get("annotations"), metadata.get("deletionTimestamp")


def _slim(raw: JSON) -> JSON:
    """Without what nobody here reads and what may be as large as the rest."""
    metadata = {name: value for name, value in raw["metadata"].items() if name != "managedFields"}
    annotations = metadata.get("annotations")
    if annotations and _UNREAD_ANNOTATION in annotations:
        metadata["annotations"] = {name: text for name, text in annotations.items() if name != _UNREAD_ANNOTATION}
    return {**raw, "metadata": metadata}
