"""Where bad data stops a round: any error, or too large a share of one data set in quarantine.

Called by `verify` after all data sets are read and compared, and by `treering validate --data`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from treering_api import Verification
from treering_api.errors import BadDataError
from treering_trainer.records import Finding, SplitCount

SHOWN = 10
"""Findings that the message spells out."""


def enforce(counts: Iterable[SplitCount], findings: Sequence[Finding], settings: Verification) -> None:
    """Stop here unless the data can be learned from.

    Raises:
        BadDataError: a finding is an error, or of a data set's pictures (both splits, the quarantined ones included)
            more than `settings.max_quarantined`, a share 0..1, are quarantined. It spells out the first findings.
    """
    over = _over(counts, settings.max_quarantined)
    culprits = [finding for finding in findings if finding.severity == "error"]
    if len(culprits) == 1 and not over:
        raise BadDataError(culprits[0].where, culprits[0].found, culprits[0].mend)
    found = [f"{len(culprits)} errors" if len(culprits) > 1 else "1 error"] if culprits else []
    for name, share in over.items():
        found.append(f"{share} of {name} quarantined, more than spec.verification.maxQuarantined allows")
        culprits += [item for item in findings if item.severity == "quarantine" and _is_of(item, name)]
    if found:
        where = ", ".join(dict.fromkeys(finding.where.split("/")[0] for finding in culprits)) or ", ".join(over)
        limit = f", or raise spec.verification.maxQuarantined ({settings.max_quarantined:g})" if over else ""
        raise BadDataError(where, "; ".join(found) + _spelled_out(culprits), f"Mend these files{limit}.")


def _over(counts: Iterable[SplitCount], limit: float) -> dict[str, str]:
    """Data sets with too much in quarantine, each with its share in words."""
    splits: dict[tuple[str, str], list[SplitCount]] = defaultdict(list)
    for count in counts:
        splits[(count.kind, count.dataset)].append(count)
    over = {}
    for (_, name), parts in splits.items():
        quarantined = sum(part.quarantined for part in parts)
        pictures = quarantined + sum(part.images for part in parts)
        if pictures and quarantined / pictures > limit:
            over[name] = f"{quarantined} of {pictures} pictures ({quarantined / pictures:.1%})"
    return over


def _is_of(finding: Finding, dataset: str) -> bool:
    return finding.where == dataset or finding.where.startswith(f"{dataset}/")


def _spelled_out(findings: Sequence[Finding]) -> str:
    lines = [f"\n  - {finding.where}: {finding.found}. {finding.mend}" for finding in findings[:SHOWN]]
    more = f"\n  - and {len(findings) - SHOWN} more" if len(findings) > SHOWN else ""
    return f":{''.join(lines)}{more}\n"
