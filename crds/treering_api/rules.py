"""Cross-field rules, each written once: it holds or not for a model in Python, and it renders itself as CEL.

Blocks name their rules in `Block.rules`; they run whenever a block is built, and `crd.py` hands the same rules to the
API server as `x-kubernetes-validations`. Expressions know just what our rules need; a CEL library evaluates the
rendered text in the tests and must agree. Paths are Python names from the block on: `evaluation.holdouts`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from pydantic import BaseModel
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError, PydanticUndefined
from typing_extensions import override


class Expression(ABC):
    """Something that is true or false of a block."""

    @abstractmethod
    def holds(self, block: BaseModel) -> bool:
        """Whether it is true of this block."""

    @abstractmethod
    def cel(self, block_type: type[BaseModel]) -> str:
        """The same as a CEL expression over `self`, in which every field may be absent."""


@dataclass(frozen=True)
class Rule:
    """What must hold inside one block.

    Args:
        field: Python path of the field that an error is shown at; empty: the block itself.
        found: what is wrong when the rule does not hold, in words.
        mend: how to get it right.
        expression: what must hold.
    """

    field: str
    found: str
    mend: str
    expression: Expression

    def check(self, block: BaseModel) -> None:
        """Raise pydantic's error, with path and mend in its context, unless the rule holds."""
        if not self.expression.holds(block):
            raise PydanticCustomError("rule", self.found.replace("{", "{{"), {"field": self.field, "mend": self.mend})

    def validation(self, block_type: type[BaseModel]) -> dict[str, str]:
        """The rule as an item of `x-kubernetes-validations`."""
        item = {"rule": self.expression.cel(block_type), "message": f"{self.found}. {self.mend}."}
        return item | ({"fieldPath": "." + camel_path(self.field)} if self.field else {})


class Ruled(BaseModel):
    """A model that keeps its rules."""

    rules: ClassVar[tuple[Rule, ...]] = ()

    @override
    def model_post_init(self, context: Any, /) -> None:
        """Check the rules once the fields are valid."""
        for rule in self.rules:
            rule.check(self)


@dataclass(frozen=True)
class Given(Expression):
    """The optional field stands there."""

    path: str

    @override
    def holds(self, block: BaseModel) -> bool:
        return _value(block, self.path) is not None

    @override
    def cel(self, block_type: type[BaseModel]) -> str:
        return _guard(self.path)


@dataclass(frozen=True)
class Filled(Expression):
    """The list has at least one item."""

    path: str

    @override
    def holds(self, block: BaseModel) -> bool:
        return bool(_value(block, self.path))

    @override
    def cel(self, block_type: type[BaseModel]) -> str:
        return f"{_guard(self.path)} && self.{camel_path(self.path)}.size() > 0"


@dataclass(frozen=True)
class Is(Expression):
    """The field, or its default where it is absent, has this value."""

    path: str
    value: bool | int | float | str

    @override
    def holds(self, block: BaseModel) -> bool:
        value: object = _value(block, self.path)
        return value == self.value and isinstance(value, bool) == isinstance(self.value, bool)

    @override
    def cel(self, block_type: type[BaseModel]) -> str:
        same = f"self.{camel_path(self.path)} == {_literal(self.value)}"
        if _default(block_type, self.path) == self.value:
            return f"(!({_guard(self.path)}) || {same})"
        return f"{_guard(self.path)} && {same}"


@dataclass(frozen=True)
class Not(Expression):
    """The other one is false."""

    other: Expression

    @override
    def holds(self, block: BaseModel) -> bool:
        return not self.other.holds(block)

    @override
    def cel(self, block_type: type[BaseModel]) -> str:
        return f"!({self.other.cel(block_type)})"


@dataclass(frozen=True)
class Count(Expression):
    """Between `least` and `most` of the others are true."""

    others: tuple[Expression, ...]
    least: int = 0
    most: int | None = None

    @override
    def holds(self, block: BaseModel) -> bool:
        count = sum(other.holds(block) for other in self.others)
        return self.least <= count and (self.most is None or count <= self.most)

    @override
    def cel(self, block_type: type[BaseModel]) -> str:
        if (self.least, self.most) == (1, None):
            return " || ".join(f"({other.cel(block_type)})" for other in self.others)
        listed = ", ".join(other.cel(block_type) for other in self.others)
        bounds = [f"size() >= {self.least}"] if self.least else []
        bounds += [f"size() <= {self.most}"] if self.most is not None else []
        return " && ".join(f"[{listed}].filter(given, given).{bound}" for bound in bounds)


@dataclass(frozen=True)
class Apart(Expression):
    """No item of one list shares the field with an item of the other."""

    path: str
    other: str
    field: str

    @override
    def holds(self, block: BaseModel) -> bool:
        taken = {getattr(item, self.field) for item in _value(block, self.other)}
        return not any(getattr(item, self.field) in taken for item in _value(block, self.path))

    @override
    def cel(self, block_type: type[BaseModel]) -> str:
        one, two, field = camel_path(self.path), camel_path(self.other), to_camel(self.field)
        return (
            f"!({_guard(self.path)}) || !({_guard(self.other)}) || "
            f"self.{one}.all(a, !self.{two}.exists(b, b.{field} == a.{field}))"
        )


@dataclass(frozen=True)
class BeginsWith(Expression):
    """The list begins with the items of the other one, compared by these fields (texts); an absent one is empty."""

    path: str
    start: str
    fields: tuple[str, ...]

    @override
    def holds(self, block: BaseModel) -> bool:
        start: Sequence[Any] = _value(block, self.start) or ()
        return self._keys((_value(block, self.path) or ())[: len(start)]) == self._keys(start)

    @override
    def cel(self, block_type: type[BaseModel]) -> str:
        items, start = f"self.{camel_path(self.path)}", f"self.{camel_path(self.start)}"
        size = f"{start}.size()"
        same = " && ".join(
            f"{items}.map(i, i.{to_camel(field)}).slice(0, {size}) == {start}.map(i, i.{to_camel(field)})"
            for field in self.fields
        )
        fits = f"{_guard(self.path)} && {size} <= {items}.size()"
        return f"!({_guard(self.start)}) || {size} == 0 || ({fits} && {same})"

    def _keys(self, items: Sequence[Any]) -> list[tuple[str, ...]]:
        return [tuple(getattr(item, field) for field in self.fields) for item in items]


def add_validations(schema: dict[str, Any], block_type: type[BaseModel]) -> None:
    """Write a block's rules into its JSON schema (a `json_schema_extra` of pydantic)."""
    if issubclass(block_type, Ruled) and block_type.rules:
        schema["x-kubernetes-validations"] = [rule.validation(block_type) for rule in block_type.rules]


def camel_path(path: str) -> str:
    """A Python path as it is written in YAML."""
    return ".".join(to_camel(part) for part in path.split("."))


def _value(block: BaseModel, path: str) -> Any:
    value: Any = block
    for part in path.split("."):
        value = None if value is None else getattr(value, part)
    return value


def _guard(path: str) -> str:
    parts = camel_path(path).split(".")
    return " && ".join(f"has(self.{'.'.join(parts[: end + 1])})" for end in range(len(parts)))


def _default(block_type: type[BaseModel], path: str) -> object:
    first, _, rest = path.partition(".")
    field = block_type.model_fields[first]
    if not rest:
        return None if field.default is PydanticUndefined else field.default
    if not isinstance(field.annotation, type):
        return None  # the block may be absent, and then nothing in it has a value: ask it for other than its defaults
    return _default(field.annotation, rest)


def _literal(value: bool | int | float | str) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"'{value}'" if isinstance(value, str) else repr(value)
