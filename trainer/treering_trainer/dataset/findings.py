"""Findings in bulk: ten thousand remarks must stay readable and must fit into a record.

Used by `read` and `compare`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from treering_trainer.records import Finding

SHOWN = 20
"""Warnings or remarks of one code that are kept one by one; the rest becomes a single finding with their number."""

_ORDER = {"error": 0, "quarantine": 1, "warning": 2, "info": 3}


def bounded(findings: Iterable[Finding], scope: str, shown: int = SHOWN) -> tuple[Finding, ...]:
    """The findings, worst first; of warnings and remarks at most `shown` of each code, the others counted at `scope`.

    Errors and quarantined pictures all stay: each must be mended. Within one code the order stays as it was.
    """
    groups: dict[tuple[int, str], list[Finding]] = defaultdict(list)
    for finding in findings:
        groups[(_ORDER[finding.severity], finding.code)].append(finding)
    return tuple(item for key in sorted(groups) for item in _shortened(groups[key], scope, shown))


def _shortened(group: list[Finding], scope: str, shown: int) -> list[Finding]:
    if len(group) <= shown or group[0].severity in ("error", "quarantine"):
        return group
    more = f"{len(group) - shown} more findings {group[0].code}, {len(group)} in all"
    rest = group[0].model_copy(update={"where": scope, "found": more, "mend": "As for the ones named."})
    return [*group[:shown], rest]
