"""Files that want to run code, fill the memory, write elsewhere or break the reader; makers get a canary's path."""

from __future__ import annotations

import json
import os
import pickle
import struct
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from tests.plugins.tiny_training import tiny_model
from treering_trainer.yolo.weights import save_ultralytics

MIB = 1 << 20


@dataclass(frozen=True)
class Hostile:
    """A file, and what its refusal must name.

    Args:
        make: writes it; the second path is what its code would create.
    """

    make: Callable[[Path, Path], None]
    found: str


class Call:
    """Pickles as the call of a function."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        return self.call


def _saved(value: Any) -> Callable[[Path, Path], None]:
    def make(path: Path, canary: Path) -> None:
        torch.save({"model": tiny_model(("a",)), "extra": value(canary)}, path)

    return make


def _bare(value: Callable[[Path], Any]) -> Callable[[Path, Path], None]:
    def make(path: Path, canary: Path) -> None:
        path.write_bytes(pickle.dumps(value(canary), protocol=2))

    return make


def _shell(canary: Path) -> Call:
    return Call(os.system, f"touch {canary}")


def _getattr_chain(canary: Path) -> Call:
    return Call(getattr, Call(getattr, torch.nn.Module, "__init__"), "__globals__")


def _as_raw(text: bytes) -> Callable[[Path, Path], None]:
    def make(path: Path, canary: Path) -> None:
        del canary
        _write_zip(path, {"archive/data.pkl": text, "archive/version": b"3\n"})

    return make


def _write_zip(path: Path, entries: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> None:
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, data in entries.items():
            archive.writestr(name, data)


def _inside_model(path: Path, canary: Path) -> None:
    model: Any = tiny_model(("a",))
    model.note = _shell(canary)
    torch.save({"model": model}, path)


def _legacy(path: Path, canary: Path) -> None:
    torch.save({"model": _shell(canary)}, path, _use_new_zipfile_serialization=False)


def _script(path: Path, canary: Path) -> None:
    del canary
    entries = {
        "m/data.pkl": b"\x80\x02}.",
        "m/constants.pkl": b"\x80\x02).",
        "m/code/__torch__.py": b"def forward(): ...",
    }
    _write_zip(path, entries)


def _zip_bomb(path: Path, canary: Path) -> None:
    del canary
    entries = {"archive/data.pkl": b"\x80\x02}.", "archive/data/0": bytes(64 * MIB)}
    _write_zip(path, entries, zipfile.ZIP_DEFLATED)


def _overlapping(path: Path, canary: Path) -> None:
    """Two entries of the directory for the same bytes: small on disk, large when read."""
    del canary
    _write_zip(path, {"archive/data.pkl": b"\x80\x02}.", "archive/data/0": bytes(MIB), "archive/data/1": b""})
    data = bytearray(path.read_bytes())
    first = data.find(b"archive/data/0", data.find(b"PK\x01\x02"))
    second = data.find(b"archive/data/1", data.find(b"PK\x01\x02"))
    data[second - 26 : second - 18] = data[first - 26 : first - 18]  # the sizes
    data[second - 4 : second] = data[first - 4 : first]  # the place
    path.write_bytes(data)


def _traversal(path: Path, canary: Path) -> None:
    _write_zip(path, {"archive/data.pkl": b"\x80\x02}.", f"../../{canary.name}": b"x"})


def _absolute(path: Path, canary: Path) -> None:
    _write_zip(path, {"archive/data.pkl": b"\x80\x02}.", str(canary): b"x"})


def _truncated(path: Path, canary: Path) -> None:
    del canary
    save_ultralytics(tiny_model(("a",)), path, image_size=64)
    path.write_bytes(path.read_bytes()[:-2000])


def _not_a_number(path: Path, canary: Path) -> None:
    del canary
    model = tiny_model(("a",))
    with torch.no_grad():
        next(model.parameters()).view(-1)[3] = float("nan")
    torch.save({"model": model}, path)


def _infinite_half(path: Path, canary: Path) -> None:
    del canary
    model = tiny_model(("a",)).half()
    with torch.no_grad():
        next(model.parameters()).view(-1)[3] = float("inf")
    torch.save({"ema": model}, path)


def _tensor_pickle(offset: int, shape: tuple[int, ...], stride: tuple[int, ...], key: str = "0") -> bytes:
    """A data.pkl with one tensor on a storage of four numbers, as the pickle's opcodes."""

    def numbers(values: tuple[int, ...]) -> bytes:
        return b"(" + b"".join(b"\x8a\x08" + struct.pack("<q", value) for value in values) + b"t"

    def text(value: str) -> bytes:
        return b"X" + struct.pack("<I", len(value)) + value.encode()

    storage = b"(" + text("storage") + b"ctorch\nFloatStorage\n" + text(key) + text("cpu") + b"K\x04tQ"
    arguments = b"(" + storage + numbers((offset,))[1:-1] + numbers(shape) + numbers(stride) + b"\x89" + b"}" + b"t"
    return b"\x80\x02}" + text("w") + b"ctorch._utils\n_rebuild_tensor_v2\n" + arguments + b"Rs."


def _tensor(
    offset: int, shape: tuple[int, ...], stride: tuple[int, ...], key: str = "0"
) -> Callable[[Path, Path], None]:
    def make(path: Path, canary: Path) -> None:
        del canary
        _write_zip(path, {"archive/data.pkl": _tensor_pickle(offset, shape, stride, key), "archive/data/0": bytes(16)})

    return make


def _safetensors(header: bytes, claimed: int | None = None) -> Callable[[Path, Path], None]:
    def make(path: Path, canary: Path) -> None:
        del canary
        length = len(header) if claimed is None else claimed
        path.write_bytes(struct.pack("<Q", length) + header + bytes(64))

    return make


def _entry(**changed: Any) -> bytes:
    return json.dumps({"w": {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 16], **changed}}).encode()


def _named(name: str) -> bytes:
    return json.dumps({name: {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 16]}}).encode()


def _bytes(data: bytes) -> Callable[[Path, Path], None]:
    def make(path: Path, canary: Path) -> None:
        del canary
        path.write_bytes(data)

    return make


def _other_zip(path: Path, canary: Path) -> None:
    del canary
    _write_zip(path, {"word/document.xml": b"x"})


def _greedy_architecture(path: Path, canary: Path) -> None:
    del canary
    model: Any = tiny_model(("a",))
    rows = [model.yaml["backbone"][0], [-1, 1, "Conv", [200_000_000, 3, 2]], *model.yaml["backbone"][2:]]
    model.yaml = {**model.yaml, "backbone": rows, "scales": {"n": [0.33, 1.0, 1 << 40]}}
    torch.save({"model": model}, path)


RUNS_CODE = "which is not part of a plain model; loading it would run its code"
HOSTILE: dict[str, Hostile] = {
    "os-system": Hostile(_saved(_shell), f"holds posix.system, {RUNS_CODE}"),
    "inside-the-model": Hostile(_inside_model, f"holds posix.system, {RUNS_CODE}"),
    "eval": Hostile(_saved(lambda canary: Call(eval, f"open({str(canary)!r}, 'w')")), "holds builtins.eval"),
    "exec": Hostile(_saved(lambda canary: Call(exec, f"open({str(canary)!r}, 'w')")), "holds builtins.exec"),
    "getattr-chain": Hostile(_saved(_getattr_chain), "holds builtins.getattr(..., '__init__')"),
    "import": Hostile(_saved(lambda _: Call(__import__, "antigravity")), "holds builtins.__import__"),
    "open": Hostile(_saved(lambda canary: Call(open, str(canary), "w")), "holds "),
    "torch-load": Hostile(_saved(lambda canary: Call(torch.load, str(canary))), "holds torch.serialization.load"),
    "hub": Hostile(_saved(lambda _: Call(torch.hub.load, "x/y", "z")), "holds torch.hub.load"),
    "bare-pickle": Hostile(_bare(_shell), "holds posix.system"),
    "harmless-bare-pickle": Hostile(_bare(lambda _: {"a": 1}), "a bare pickle, not written by torch"),
    "legacy-format": Hostile(_legacy, "holds posix.system"),
    "torchscript": Hostile(_script, "holds a TorchScript program"),
    "zip-bomb": Hostile(_zip_bomb, "unpacks to 67,108,864 bytes"),
    "overlapping-zip": Hostile(_overlapping, "claims to hold more than its"),
    "traversal": Hostile(_traversal, "names a file outside of itself"),
    "absolute-name": Hostile(_absolute, "names a file outside of itself"),
    "truncated": Hostile(_truncated, "damaged or cut off"),
    "nan": Hostile(_not_a_number, "holds 1 value that is no number (NaN or infinite) in model.0.conv.weight"),
    "infinite-half": Hostile(_infinite_half, "holds 1 value that is no number"),
    "too-large-shape": Hostile(_tensor(0, (1000, 1000), (1000, 1)), "shape (1000, 1000) reaches beyond its 4 numbers"),
    "negative-shape": Hostile(_tensor(0, (-2, 2), (2, 1)), "shape or stride is (-2, 2)"),
    "negative-stride": Hostile(_tensor(0, (2, 2), (-2, 1)), "shape or stride is (-2, 1)"),
    "beyond-the-end": Hostile(_tensor(3, (2,), (1,)), "reaches beyond its 4 numbers"),
    "zero-stride": Hostile(_tensor(0, (1 << 30,), (0,)), "reaches beyond its 4 numbers"),
    "storage-elsewhere": Hostile(_tensor(0, (2, 2), (2, 1), "../../etc/x"), "storage '../../etc/x' is missing"),
    "memo-bomb": Hostile(_as_raw(b"\x80\x02}r\xff\xff\xff\x7f."), "memory"),
    "long-string": Hostile(_as_raw(b"\x80\x04\x8d" + struct.pack("<Q", 1 << 50) + b"."), "damaged"),
    "odd-opcode": Hostile(_as_raw(b"\x80\x02\xff."), "its pickle is damaged"),
    "persistent-id": Hostile(_as_raw(b"\x80\x02K\x01Q."), "refers to something that is no storage"),
    "huge-header": Hostile(_safetensors(b'{"w": 1}', 4 << 30), "its header claims 4,294,967,296 bytes"),
    "no-json": Hostile(_safetensors(b"{not json at all"), "its header is no JSON"),
    "deep-json": Hostile(_safetensors(b'{"a":' + b"[" * 100_000), "its header is no JSON"),
    "wrong-shape": Hostile(_safetensors(_entry(shape=[3, 3])), "reaches beyond its 4 numbers"),
    "negative-shape-safetensors": Hostile(_safetensors(_entry(shape=[-2, -2])), "shape or stride is"),
    "outside-offsets": Hostile(_safetensors(_entry(data_offsets=[0, 1 << 40])), "lies outside of the file"),
    "unknown-numbers": Hostile(_safetensors(_entry(dtype="F4")), "has numbers of an unknown kind"),
    "traversal-tensor": Hostile(_safetensors(_named("../../etc/passwd")), "a tensor of the name '../../etc/passwd'"),
    "picture": Hostile(_bytes(b"\x89PNG\r\n\x1a\n" + bytes(64)), "it is a PNG image"),
    "program": Hostile(_bytes(b"\x7fELF" + bytes(64)), "it is a program (ELF)"),
    "empty": Hostile(_bytes(b""), "it is empty"),
    "text": Hostile(_bytes(b"import os\n"), "it is text"),
    "other-zip": Hostile(_other_zip, "a zip archive that torch did not write"),
}  # fmt: skip
GREEDY = Hostile(_greedy_architecture, "a network of")
"""Read without harm, refused where it would be built."""
