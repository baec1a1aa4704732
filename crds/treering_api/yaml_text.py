"""Strict YAML: one document, no key twice, numbers as people write them, and the line of every value.

Used by `load`. Differs from PyYAML's defaults where those surprise: `1e-3` is a number (as in YAML 1.2 and in
Kubernetes), dates stay texts, and nothing but plain data is built.
"""

from __future__ import annotations

import re
from typing import Any

import yaml

from treering_api.errors import BadSpecError

Path = tuple[str | int, ...]


class _Loader(yaml.SafeLoader):
    """SafeLoader without timestamps and sexagesimals, with exponents."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if not tag.endswith((":timestamp", ":float", ":int"))]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver("tag:yaml.org,2002:int", re.compile(r"^[-+]?(0|[1-9][0-9]*)$"), list("-+0123456789"))
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(
        r"^([-+]?([0-9]+\.[0-9]*|\.[0-9]+|[0-9]+(?=[eE]))([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN))$"
    ),
    list("-+.0123456789"),
)


def read_yaml(text: str, source: str) -> tuple[dict[str, Any], dict[Path, int]]:
    """The mapping in a YAML text, and the line (from 1) of every path in it.

    Args:
        text: the text of one document.
        source: what to call it in errors, usually the file's name.

    Raises:
        BadSpecError: not YAML, not one document, not a mapping, a key twice, an alias or a tag of its own.
    """
    loader = _Loader(text)
    try:
        node = _single_node(loader, source)
        lines: dict[Path, int] = {}
        _walk(node, (), lines, source)
        data: dict[str, Any] = loader.construct_document(node)
    except yaml.YAMLError as error:
        raise _broken(error, source) from None
    except ValueError as error:
        raise BadSpecError(source, f"a value can't be read: {error}", "Quote it, or write a plain number") from None
    finally:
        loader.dispose()
    return data, lines


def _single_node(loader: _Loader, source: str) -> yaml.Node:
    if not loader.check_node():
        raise BadSpecError(source, "the file is empty", "Write an IncrementalTrain; `treering init` makes a first one")
    node: yaml.Node = loader.get_node()  # type: ignore[assignment]
    if loader.check_node():
        raise BadSpecError(source, "several documents in one file", "Give each line a file of its own")
    if not isinstance(node, yaml.MappingNode):
        raise BadSpecError(source, "no mapping at the top", "Start with apiVersion, kind, metadata and spec")
    return node


def _walk(node: yaml.Node, path: Path, lines: dict[Path, int], source: str) -> None:
    if path in lines:
        raise BadSpecError(
            dotted(path),
            f"the key stands there twice ({source}, lines {lines[path]} and {node.start_mark.line + 1})",
            "Keep one of them",
        )
    lines[path] = node.start_mark.line + 1
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise BadSpecError(dotted(path), "a key is no plain text", "Write `name: value`")
            _walk(value, (*path, key.value), lines, source)
    elif isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            _walk(item, (*path, index), lines, source)


def dotted(path: Path) -> str:
    """A path as people write it: `spec.increments[1].uri`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def _broken(error: yaml.YAMLError, source: str) -> BadSpecError:
    mark = getattr(error, "problem_mark", None)
    where = f"{source}:{mark.line + 1}" if mark is not None else source
    problem = getattr(error, "problem", None) or str(error)
    return BadSpecError(where, f"not YAML: {problem}", "Check indentation, quotes and brackets around that line")
