"""How to reach a store: everything but the address of the data and the credentials.

Made from `spec.store` or by hand; read by `store/s3.py`. Credentials never pass through here: boto3 finds them itself
(environment, shared files, web identity of a service account, instance role), so that none is ever in a spec or a log.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from treering_api.model import StoreSpec

Checksums = Literal["auto", "whenRequired", "whenSupported"]


@dataclass(frozen=True)
class Connection:
    """Settings of one S3 endpoint; a `file://` store needs none and ignores them.

    Args:
        endpoint: `http(s)://host[:port]`; None = AWS itself, or what AWS_ENDPOINT_URL_S3 or AWS_ENDPOINT_URL say.
        region: None = what AWS_REGION or the shared configuration say, else us-east-1.
        path_style: bucket in the path instead of the host name; None = only with a custom endpoint.
        checksums: when to send and verify S3's own checksums. "auto" = whenRequired with a custom endpoint, because
            many S3-compatible servers reject the newer headers; whenSupported with AWS.
        certificate_authority: PEM file to trust instead of the public ones.
    """

    endpoint: str | None = None
    region: str | None = None
    path_style: bool | None = None
    checksums: Checksums = "auto"
    certificate_authority: Path | None = None

    @classmethod
    def from_spec(cls, spec: StoreSpec, certificate_authority: Path | None = None) -> Connection:
        """The connection that `spec.store` asks for; its CA file lies where the pod has it mounted."""
        return cls(spec.endpoint, spec.region, spec.path_style, spec.checksums, certificate_authority)
