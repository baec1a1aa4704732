from __future__ import annotations

from typing import Any

import pytest

from treering_api.notices import notices
from treering_api.spec import CertificateAuthority, Compute, Discover, Spec, StoreSpec


def test_notices__short_spec_has_none(short_spec: Spec) -> None:
    store = short_spec.store.model_copy(update={"credentials_secret": None})
    assert notices(short_spec.model_copy(update={"store": store})) == ()


NOT_HERE: dict[str, tuple[dict[str, Any], str, str]] = {
    "discover": ({"discover": Discover(uri="s3://abc/d")}, "spec.discover ", "List them under spec.increments"),
    "queue": ({"queue": "team-a"}, "spec.queue ", "belong to a cluster"),
    "retries": ({"retries": 0}, "spec.retries ", "run again"),
    "ttl": ({"ttl": "7d"}, "spec.ttl ", "no Job"),
    "authority": (
        {"store": StoreSpec(uri="s3://abc/d", certificate_authority=CertificateAuthority(secret="ca"))},
        "spec.store.certificateAuthority ",
        "--certificate-authority",
    ),
    "secret": (
        {"store": StoreSpec(uri="s3://abc/d", credentials_secret="keys")},
        "spec.store.credentialsSecret ",
        "AWS_ACCESS_KEY_ID",
    ),
    "account": (
        {"store": StoreSpec(uri="s3://abc/d", service_account="trainer")},
        "spec.store.serviceAccount ",
        "AWS_ACCESS_KEY_ID",
    ),
    "compute": (
        {"compute": Compute(gpus=1, image="trainer:1", shared_memory="8Gi", node_selector={"a": "b"})},
        "spec.compute.{image, nodeSelector, sharedMemory} ",
        "only gpus counts",
    ),
}


@pytest.mark.parametrize("case", NOT_HERE)
def test_notices__one_sentence_for_what_does_not_count_here(short_spec: Spec, case: str) -> None:
    changes, begins, says = NOT_HERE[case]
    plain = short_spec.model_copy(update={"store": StoreSpec(uri="s3://abc/d")})
    (sentence,) = notices(plain.model_copy(update=changes))
    assert sentence.startswith(begins + "is not acted upon here: ")
    assert says in sentence


def test_notices__several_are_told_one_by_one(short_spec: Spec) -> None:
    spec = short_spec.model_copy(update={"discover": Discover(uri="s3://abc/d"), "queue": "team-a"})
    told = ["spec.discover", "spec.queue", "spec.store.credentialsSecret"]
    assert [sentence.split()[0] for sentence in notices(spec)] == told
