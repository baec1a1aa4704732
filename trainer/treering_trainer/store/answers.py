"""What an S3 server's refusals mean, in words a user can act on.

Called by `store/s3.py` with the code and status of an answer; knows nothing of boto3. Pure data and one function.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from treering_api.errors import BadSpecError, StoreError, TreeringError
from treering_trainer.store.errors import (
    AccessDeniedError,
    ConflictError,
    IntegrityError,
    NoStoreError,
    NotFoundError,
    UnreachableError,
)

CREDENTIALS_MEND = (
    "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or name a Secret with both in spec.store.credentialsSecret, "
    "or a service account with a role in spec.store.serviceAccount."
)


@dataclass(frozen=True)
class Answer:
    """One refusal: S3's error code (the status as text where there was no body), HTTP status, the server's words."""

    code: str
    status: int
    message: str
    retries: int

    @property
    def failed_condition(self) -> bool:
        """The condition of a put did not hold."""
        return self.status == 412 or self.code == "PreconditionFailed"

    @property
    def clash(self) -> bool:
        """Another conditional put ran at the same moment; says nothing yet about which one wins."""
        return self.status == 409 and self.code in ("ConditionalRequestConflict", "OperationAborted", "409")


@dataclass(frozen=True)
class _Meaning:
    error: type[TreeringError]
    found: str
    mend: str


_credentials = partial(_Meaning, AccessDeniedError, mend=CREDENTIALS_MEND)
_region = _Meaning(
    BadSpecError, "the bucket is in another region than was asked", "Set spec.store.region to the bucket's region."
)
_no_bucket = _Meaning(NoStoreError, "no such bucket", "Create the bucket, or mend its name in the URI.")
_no_object = _Meaning(NotFoundError, "no such object", "Check the key; keys are case-sensitive.")
_condition = _Meaning(ConflictError, "exists already or has changed", "Read it again; nothing was written.")
_full = _Meaning(StoreError, "the store is full", "Free some space in the store, or raise its quota.")
_damaged = _Meaning(
    IntegrityError, "the bytes were damaged on the way to the store", "Run again; if it stays so, check the network."
)
_clock = _Meaning(AccessDeniedError, "this machine's clock is wrong by minutes", "Set the machine's clock.")
_unsupported = _Meaning(
    StoreError,
    "the server does not know a part of the request",
    "Set spec.store.checksums to whenRequired; if that is not it, the server lacks something Treering needs.",
)
_denied = _Meaning(
    AccessDeniedError,
    "these credentials may not do this",
    "Allow s3:ListBucket on the bucket and s3:GetObject, s3:PutObject and s3:DeleteObject on its objects.",
)

_BY_CODE = {
    "NoSuchBucket": _no_bucket,
    "NoSuchKey": _no_object,
    "PreconditionFailed": _condition,
    "InvalidAccessKeyId": _credentials("the access key is unknown to the server"),
    "SignatureDoesNotMatch": _credentials("the secret key is wrong"),
    "ExpiredToken": _credentials("the credentials have expired"),
    "InvalidToken": _credentials("the session token is not valid"),
    "RequestTimeTooSkewed": _clock,
    "PermanentRedirect": _region,
    "AuthorizationHeaderMalformed": _region,
    "IllegalLocationConstraintException": _region,
    "QuotaExceeded": _full,
    "XMinioStorageFull": _full,
    "InsufficientStorage": _full,
    "BadDigest": _damaged,
    "XAmzContentSHA256Mismatch": _damaged,
    "NotImplemented": _unsupported,
    "XAmzContentChecksumMismatch": _damaged,
    "InvalidArgument": _unsupported,
}
_BY_STATUS = {
    301: _region,
    401: _credentials("the server wants other credentials"),
    403: _denied,
    404: _no_object,
    409: _condition,
    412: _condition,
    501: _unsupported,
    507: _full,
}


def explain(answer: Answer, where: str) -> TreeringError:
    """The error for an answer that was a refusal.

    Args:
        answer: what the server said, after any retries.
        where: full URI of the object or the bucket.
    """
    said = f"{answer.status} {answer.code}" + (f": {answer.message}" if answer.message else "")
    meaning = _BY_CODE.get(answer.code) or _BY_STATUS.get(answer.status)
    if meaning:
        return meaning.error(where, f"{meaning.found} ({said})", meaning.mend)
    if answer.status >= 500 or answer.status == 429:
        found = f"the store can't answer now, asked {answer.retries + 1} times ({said})"
        return UnreachableError(where, found, "Wait for the store to recover, then run again.")
    return StoreError(where, f"the store refused ({said})", "Read the store's own message; it names the reason.")
