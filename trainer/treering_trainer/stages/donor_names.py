"""What the models of a merge are called in sentences: published models are all `model.pt`, so file names won't do."""

from __future__ import annotations

from collections.abc import Sequence


def short_names(uris: Sequence[str]) -> dict[str, str]:
    """By URI, as much of its end as tells it apart from the others: `model.pt`, or `a/model.pt` beside `b/model.pt`."""
    parts = {uri: uri.partition("://")[2].rstrip("/").split("/") if "://" in uri else [uri] for uri in uris}
    most = max((len(found) for found in parts.values()), default=1)
    for length in range(1, most + 1):
        names = {uri: "/".join(found[-length:]) for uri, found in parts.items()}
        if len(set(names.values())) == len(names):
            return names
    return {uri: uri for uri in uris}
