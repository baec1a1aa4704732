"""How durations, counts, losses and results are written for people: the words that bars and log lines share.

Everything returned is one line of printable text: names of files and classes come from deliveries, and an escape
sequence in one must not reach a terminal.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_ESCAPE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|.)?")


def one_line(text: str) -> str:
    """The text without line breaks, terminal escapes and other control characters."""
    flat = " ".join(_ESCAPE.sub("", text).split())
    return "".join(char for char in flat if char.isprintable())


def duration(seconds: float) -> str:
    """`0.4s`, `12s`, `3m05s`, `2h07m`, `3d04h`: two units at most."""
    if seconds < 9.95:
        return f"{max(0.0, seconds):.1f}s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02d}s"
    if whole < 86400:
        return f"{whole // 3600}h{whole % 3600 // 60:02d}m"
    return f"{whole // 86400}d{whole % 86400 // 3600:02d}h"


def count(done: int, total: int, unit: str) -> str:
    """`1,200/30,000 images`, or `1,200 images` where the total isn't known."""
    amount = f"{done:,}/{total:,}" if total > 0 else f"{done:,}"
    return one_line(f"{amount} {unit}")


def losses(parts: Mapping[str, float]) -> str:
    """`box 1.23, cls 0.567`, in the order given."""
    return ", ".join(loss(name, value) for name, value in parts.items())


def loss(name: str, value: float) -> str:
    """`box 1.23`: three figures, whatever the size."""
    return one_line(f"{name} {value:#.3g}")


def speed(images_per_s: float) -> str:
    """`312 images/s`, with one decimal below ten."""
    return f"{images_per_s:,.0f} images/s" if images_per_s >= 10 else f"{images_per_s:.1f} images/s"


def result(values: Mapping[str, Any]) -> str:
    """What a finished round's result says, in words: `published · mAP50 0.912 · 0.4 points forgotten`."""
    parts = [one_line(str(values.get("verdict") or "finished"))]
    map50, forgetting = values.get("map50"), values.get("forgetting")
    before = values.get("map50_before", values.get("map50Before"))
    if map50 is not None:
        parts.append(f"mAP50 {map50:.3f}" + (f" (old classes before: {before:.3f})" if before is not None else ""))
    if forgetting is not None:
        points = 100 * forgetting
        parts.append(f"{points:.1f} points forgotten" if points >= 0 else f"{-points:.1f} points gained on old classes")
    return " · ".join(parts)
