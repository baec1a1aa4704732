"""What a spec says that a run on one machine does not act upon: told in words, never ignored in silence."""

from __future__ import annotations

from treering_api.fields import Block
from treering_api.rules import camel_path
from treering_api.spec import Compute, Spec

_ENVIRONMENT = "the AWS_* variables of the environment are used, such as AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
_WHY = {
    "spec.discover": "only a cluster's operator looks for deliveries. List them under spec.increments",
    "spec.queue": "queues belong to a cluster",
    "spec.retries": "there is one attempt; run again, and what is done is kept",
    "spec.ttl": "there is no Job that could stay",
    "spec.store.certificateAuthority": "what counts is the PEM file given with --certificate-authority",
    "spec.store.credentialsSecret": _ENVIRONMENT,
    "spec.store.serviceAccount": _ENVIRONMENT,
}
"""What happens instead of what the field asks for, or what to do."""


def notices(spec: Spec) -> tuple[str, ...]:
    """Sentences about what a run on one machine does not act upon; empty where all of the spec counts."""
    given = {
        "spec.discover": spec.discover is not None,
        "spec.queue": spec.queue is not None,
        "spec.retries": _changed(spec, "retries"),
        "spec.ttl": spec.ttl is not None,
        "spec.store.certificateAuthority": spec.store.certificate_authority is not None,
        "spec.store.credentialsSecret": spec.store.credentials_secret is not None,
        "spec.store.serviceAccount": spec.store.service_account is not None,
    }
    sentences = [f"{field} is not acted upon here: {_WHY[field]}." for field, is_given in given.items() if is_given]
    pods = [camel_path(name) for name in Compute.model_fields if name != "gpus" and _changed(spec.compute, name)]
    if pods:
        sentences.append(
            f"spec.compute.{{{', '.join(pods)}}} is not acted upon here: only gpus counts where there are no pods."
        )
    return tuple(sentences)


def _changed(block: Block, name: str) -> bool:
    """Whether a field has another value than its default."""
    default = type(block).model_fields[name].get_default(call_default_factory=True, validated_data={})
    return bool(getattr(block, name) != default)
