"""A pickle as data: tensors and containers as what they are, the classes of a model as inert records, all else refused.

No class or function of the pickle is ever looked up, let alone called: `find_class` answers from the lists below.
"""

from __future__ import annotations

import pickle
import re
from collections import OrderedDict
from collections.abc import Callable
from typing import IO, Any, TypeGuard

from treering_trainer.foreign.refusal import DISTRUST, RefusedError, damaged
from treering_trainer.foreign.tensors import STORAGES, StorageRef, StorageType, TensorRecord, make_record

INERT_PREFIXES = ("models.", "utils.", "ultralytics.", "torch.nn.")
"""Where YOLOv5, v7 and v9 (`models`, `utils`), ultralytics and torch keep the classes that models consist of."""

INERT = re.compile(
    r"argparse\.Namespace|types\.SimpleNamespace|pathlib(\._local)?\.(Pure)?(Posix|Windows)?Path"
    r"|datetime\.(datetime|date|timedelta|timezone)|collections\.(defaultdict|Counter)"
    r"|numpy\.(dtype|ndarray|float64|float32|int64)|numpy\.(core|_core)\.multiarray\.(scalar|_reconstruct)"
    r"|builtins\.(int|float|bool|str|list|dict|tuple|complex|bytes|bytearray|slice|object)"
    r"|torch\.(Tensor|device|float16|float32|float64|bfloat16|int64|int32|int16|int8|uint8|bool)"
)
"""Data beside the model: arguments, paths, dates, scores."""

METHODS = ("forward", "forward_fuse", "forward_split")
"""What ultralytics itself sets on its modules."""
MOST_TYPES = 2_000
DAMAGE = (pickle.UnpicklingError, EOFError, AttributeError, ImportError, IndexError, KeyError, TypeError, ValueError)
"""What the unpickler raises for a pickle that is none."""


class Inert:
    """Stands for an object of a class that is not there: what it was made of, and nothing that acts.

    `origin` is the class's name; a subclass is made for each.
    """

    origin = ""
    __slots__ = ("args", "items", "state")
    args: tuple[object, ...]
    items: list[tuple[object, object]]
    state: object

    def __new__(cls, *args: object, **_: object) -> Inert:
        """Keep what the class would have been called with."""
        made = super().__new__(cls)
        made.args = args
        made.state = None
        made.items = []
        return made

    def __init__(self, *_: object, **__: object) -> None:
        """Take any arguments; `__new__` has kept them."""

    def __setstate__(self, state: object) -> None:
        """Keep the state that the object would have got."""
        self.state = state

    def __setitem__(self, key: object, value: object) -> None:
        """Keep an item, as a dictionary's subclass would."""
        self.items.append((key, value))

    def append(self, value: object) -> None:
        """Keep an item, as a list's subclass would."""
        self.items.append((None, value))

    def extend(self, values: list[object]) -> None:
        """Keep items."""
        self.items.extend((None, value) for value in values)

    def add(self, value: object) -> None:
        """Keep an item, as a set's subclass would."""
        self.items.append((None, value))

    def attributes(self) -> dict[Any, Any]:
        """Its attributes, by name: of a plain object, or of one with slots."""
        state = self.state
        if isinstance(state, tuple) and len(state) == 2:
            merged: dict[Any, Any] = {}
            for half in state:
                merged.update(half if isinstance(half, dict) else {})
            return merged
        return state if isinstance(state, dict) else {}


class DataUnpickler(pickle.Unpickler):
    """Reads a pickle by the lists above.

    Args:
        storage: makes a reference of what torch names a storage by.
    """

    def __init__(self, file: IO[bytes], storage: Callable[[tuple[Any, ...]], StorageRef] | None = None) -> None:
        super().__init__(file, encoding="latin1")
        self._storage = storage
        self._types: dict[str, type[Inert]] = {}

    def find_class(self, module: str, name: str) -> Any:
        """What stands for a global.

        Raises:
            RefusedError: it is none that a model consists of.
        """
        origin = f"{module.replace('__builtin__', 'builtins')}.{name}"
        if origin in _DATA:
            return _DATA[origin]
        if module == "torch" and name in STORAGES:
            return StorageType(STORAGES[name])
        if origin.startswith(INERT_PREFIXES) or INERT.fullmatch(origin):
            return self._inert(origin)
        raise code(origin)

    def persistent_load(self, pid: Any) -> StorageRef | type[Inert]:
        """A storage by what torch names it by; torch's old format names the classes of modules in this way, too."""
        if isinstance(pid, tuple) and len(pid) == 4 and pid[0] == "module" and _is_inert(pid[1]):
            return pid[1]
        if self._storage is None or not isinstance(pid, tuple) or len(pid) < 5 or pid[0] != "storage":
            raise damaged("it refers to something that is no storage")
        return self._storage(pid)

    def _inert(self, origin: str) -> type[Inert]:
        if origin not in self._types:
            if len(self._types) >= MOST_TYPES:
                raise damaged(f"it names more than {MOST_TYPES} types")
            self._types[origin] = type("Inert", (Inert,), {"origin": origin, "__slots__": ()})
        return self._types[origin]


def unpickle(file: IO[bytes], storage: Callable[[tuple[Any, ...]], StorageRef] | None = None) -> Any:
    """Read one pickle from where `file` stands.

    Raises:
        RefusedError: it is damaged, or holds what a model does not consist of.
    """
    try:
        return DataUnpickler(file, storage).load()
    except DAMAGE as error:
        raise damaged(f"its pickle is damaged: {str(error)[:100] or type(error).__name__}") from error


def storage_ref(kind: object, key: object, numbers: object) -> StorageRef:
    """A checked reference to a storage."""
    if not isinstance(kind, StorageType) or not isinstance(key, str):
        raise damaged("a storage has no type or no key")
    if isinstance(numbers, bool) or not isinstance(numbers, int) or numbers < 0:
        raise damaged(f"storage {key[:40]!r} has no valid size")
    return StorageRef(kind.dtype, key, numbers)


def code(origin: str) -> RefusedError:
    """The refusal of something that would be run."""
    shown = "".join(letter if letter.isprintable() else "?" for letter in origin)[:120]
    return RefusedError(
        f"holds {shown}, which is not part of a plain model; loading it would run its code", DISTRUST, foreign=shown
    )


def _rebuild(storage: object, offset: object, shape: object, stride: object, *_: object) -> TensorRecord:
    return make_record(storage, offset, shape, stride)


def _parameter(data: object, *_: object) -> object:
    return data


def _typed(function: object, _type: object, args: object, *_: object) -> object:
    if function in (_rebuild, _parameter) and isinstance(args, tuple):
        return _rebuild(*args) if function is _rebuild else _parameter(*args)
    raise damaged("a tensor of an unknown kind")


def _size(*args: Any) -> tuple[Any, ...]:
    return tuple(*args)


def _encode(text: object, *_: object) -> bytes:
    return text.encode("latin1", "replace") if isinstance(text, str) else b""


def _get(holder: object, name: object = "", *_: object) -> object:
    """ultralytics pickles `Detect.forward` as getattr(Detect, "forward"); nothing else has a reason to be there."""
    if (isinstance(holder, Inert) or _is_inert(holder)) and name in METHODS:
        return None
    raise code(f"builtins.getattr(..., {str(name)[:40]!r})")


def _is_inert(value: object) -> TypeGuard[type[Inert]]:
    return isinstance(value, type) and issubclass(value, Inert)


_DATA: dict[str, Any] = {
    "collections.OrderedDict": OrderedDict,
    "builtins.set": set,
    "builtins.frozenset": frozenset,
    "builtins.getattr": _get,
    "_codecs.encode": _encode,
    "torch.Size": _size,
    "torch._utils._rebuild_tensor": _rebuild,
    "torch._utils._rebuild_tensor_v2": _rebuild,
    "torch._utils._rebuild_parameter": _parameter,
    "torch._utils._rebuild_parameter_with_state": _parameter,
    "torch._tensor._rebuild_from_type_v2": _typed,
}
