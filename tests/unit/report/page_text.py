"""Reads a page the way a test needs it: elements, visible text, tables, and everything that could load something."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from html.parser import HTMLParser

_VOID = {"meta", "br", "img", "link", "input", "hr", "base"}
_LOADING = {"src", "href", "xlink:href", "srcset", "action", "data", "poster", "background", "formaction", "ping"}


@dataclass
class Page(HTMLParser):
    """The parsed page. `rows` maps a table's id to its rows, each a list of cell texts."""

    source: str
    tags: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    scripts: list[str] = field(default_factory=list)
    styles: list[str] = field(default_factory=list)
    rows: dict[str, list[list[str]]] = field(default_factory=dict)
    text: str = ""
    open_tags: list[str] = field(default_factory=list)
    _table: str = ""

    def __post_init__(self) -> None:
        super().__init__()
        self.feed(self.source)
        self.close()
        self.text = " ".join(self.text.split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        self.tags.append((tag, values))
        if tag not in _VOID:
            self.open_tags.append(tag)
        if tag == "table":
            self._table = values.get("id") or values.get("class", "")
            self.rows.setdefault(self._table, [])
        if tag == "tr":
            self.rows[self._table].append([])
        if tag in ("td", "th"):
            self.rows[self._table][-1].append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self.open_tags and self.open_tags[-1] == tag, f"</{tag}> closes {self.open_tags[-3:]}"
        self.open_tags.pop()

    def handle_data(self, data: str) -> None:
        if "script" in self.open_tags:
            self.scripts.append(data)
        elif "style" in self.open_tags:
            self.styles.append(data)
        else:
            self.text += f" {data}"
            if {"td", "th"} & set(self.open_tags):
                cells = self.rows[self._table][-1]
                cells[-1] = " ".join(f"{cells[-1]} {data}".split())

    def row(self, table: str, first: str) -> list[str]:
        """The row of a table whose first cell starts with `first`."""
        return next(row for row in self.rows[table] if row[0].startswith(first))

    def elements(self, tag: str) -> list[dict[str, str]]:
        """Attributes of every element of a kind."""
        return [values for name, values in self.tags if name == tag]

    def loads(self) -> list[str]:
        """Every reference to something that is neither inside this page nor a page of the same line."""
        found = [
            value
            for _, values in self.tags
            for name, value in values.items()
            if name in _LOADING and not re.fullmatch(r"#[\w-]+|data:image/jpeg;base64,[\w+/=]+|[./\w-]+\.html", value)
        ]
        styles = [*self.styles, *(values.get("style", "") for _, values in self.tags)]
        found += [style for style in styles if re.search(r"url\(|@import|image-set|https?:|//\w", style)]
        return found + [tag for tag, _ in self.tags if tag in ("link", "iframe", "object", "embed", "base", "form")]
