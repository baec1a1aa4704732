"""Numbers, times and names as people read them; filters of the report's templates.

Called by the templates and by the modules that build sentences. Everything returned is plain text: nothing here is
marked as safe HTML, so the templates still escape it. A missing number is a dash, never a zero.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime

MISSING = "\N{EN DASH}"
MINUS = "\N{MINUS SIGN}"
_BYTES_PER_STEP = 1000
_SECONDS_PER_MINUTE = 60
_SECONDS_PER_HOUR = 3600


def score(value: float | None) -> str:
    """A score between 0 and 1 with three decimals: `0.874`."""
    return MISSING if value is None or not math.isfinite(value) else f"{value:.3f}"


def points(change: float | None) -> str:
    """A change of a score (0.03 = 3 points) in points, with its sign: `+3.0`, `±0.0`; losses with a true minus."""
    if change is None or not math.isfinite(change):
        return MISSING
    rounded = round(change * 100, 1)
    if rounded == 0:
        return "±0.0"
    return f"{'+' if rounded > 0 else MINUS}{abs(rounded):.1f}"


def unsigned_points(change: float) -> str:
    """The size of a change with its unit: `3.0 points`, `1.0 point`."""
    text = f"{abs(change) * 100:.1f}"
    return f"{text} point" if text == "1.0" else f"{text} points"


def sigmas(shift: float) -> str:
    """A shift in standard deviations with its sign, in the form of points: `+1.2`, `±0.0`."""
    return points(shift / 100)


def trend(change: float | None) -> str:
    """The kind of a change, for colours: `better`, `worse`, `same` (less than 0.05 points), `unknown`."""
    text = points(change)
    return {MISSING: "unknown", "±0.0": "same"}.get(text, "better" if text.startswith("+") else "worse")


def amount(value: int) -> str:
    """A whole number with thousands set apart: `12,345`."""
    return f"{value:,}"


def counted(value: int, singular: str, plural: str | None = None) -> str:
    """A number with its noun: `1 image`, `1,200 images`."""
    return f"{amount(value)} {singular if value == 1 else plural or singular + 's'}"


def size(size_bytes: int) -> str:
    """Bytes in decimal units: `512 B`, `6.2 MB`."""
    value = float(size_bytes)
    for unit in ("B", "kB", "MB", "GB"):
        if value < _BYTES_PER_STEP:
            return f"{value:.0f} B" if unit == "B" else f"{value:.1f} {unit}"
        value /= _BYTES_PER_STEP
    return f"{value:,.1f} TB"


def duration(duration_s: float) -> str:
    """Seconds as people say them: `0.4 s`, `12 s`, `3 min 05 s`, `2 h 07 min`."""
    if duration_s < 10:
        return f"{duration_s:.1f} s"
    whole = round(duration_s)
    if whole < _SECONDS_PER_MINUTE:
        return f"{whole} s"
    if whole < _SECONDS_PER_HOUR:
        return f"{whole // _SECONDS_PER_MINUTE} min {whole % _SECONDS_PER_MINUTE:02d} s"
    minutes = round(duration_s / _SECONDS_PER_MINUTE)
    return f"{minutes // 60} h {minutes % 60:02d} min"


def moment(text: str | datetime) -> str:
    """An RFC 3339 time in UTC, to the minute: `2026-11-23 21:52 UTC`; what is no time stays as it is."""
    try:
        when = text if isinstance(text, datetime) else datetime.fromisoformat(text)
    except ValueError:
        return str(text)
    if when.tzinfo is not None:
        when = when.astimezone(UTC)
    return f"{when:%Y-%m-%d %H:%M} UTC"


def short(name: str, limit: int = 48) -> str:
    """A name cut in its middle to at most `limit` characters."""
    half = (limit - 1) // 2
    return name if len(name) <= limit else f"{name[:half]}…{name[-half:]}"


def listed(names: Sequence[str], limit: int = 6) -> str:
    """Names as a phrase: `a`, `a and b`, `a, b and c`; beyond `limit` the rest is counted: `a, b and 58 more`."""
    shown = [short(name) for name in names[:limit]]
    if len(names) > limit:
        shown.append(f"{amount(len(names) - limit)} more")
    if len(shown) <= 1:
        return "".join(shown)
    return f"{', '.join(shown[:-1])} and {shown[-1]}"
