"""A store in an S3 bucket: `s3://bucket/prefix`, at AWS or any server that speaks S3. The only module that knows boto3.

Made by `open_store`. What it promises beyond the interface:

- The first request of a process is a quick one: a store that is not there is reported within 20 seconds. Once it has
  answered, transient faults (broken connections, timeouts, 5xx, SlowDown) are met by ten attempts with growing
  pauses: about a minute, and longer where a server keeps silent.
- A conditional put whose answer got lost is recognised: if the retry finds the condition broken, what lies there is
  read back, and if it is what was sent, the put had succeeded.
- A body that breaks off is read again from its start.
- An object of more than 5 GiB is refused: it goes up in one request.
"""

from __future__ import annotations

import hashlib
import os
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import boto3
from botocore import exceptions as boto
from botocore.config import Config

from treering_api.errors import BadSpecError, StoreError, TreeringError
from treering_trainer.store import local
from treering_trainer.store.answers import CREDENTIALS_MEND, Answer, explain
from treering_trainer.store.base import Body, ObjectInfo, Store, conflict
from treering_trainer.store.connection import Connection
from treering_trainer.store.contact import Contact
from treering_trainer.store.errors import AccessDeniedError, NoStoreError, UnreachableError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import GetObjectOutputTypeDef

T = TypeVar("T")
MOST_CONNECTIONS = 64
_PATIENT_ATTEMPTS, _QUICK_ATTEMPTS = 10, 3
_CONNECT_TIMEOUT_S, _READ_TIMEOUT_S, _QUICK_READ_TIMEOUT_S = 5, 60, 5
_BODY_ATTEMPTS, _CLASH_ATTEMPTS = 5, 6
_LARGEST_BYTES = 5 * 1024**3
_BROKEN_BODY = (
    boto.IncompleteReadError,
    boto.ResponseStreamingError,
    boto.ReadTimeoutError,
    boto.FlexibleChecksumError,
)
_NO_CREDENTIALS = (
    boto.NoCredentialsError,
    boto.PartialCredentialsError,
    boto.CredentialRetrievalError,
    boto.ProfileNotFound,
    boto.TokenRetrievalError,
)


class S3Store(Store):
    """Objects in one bucket."""

    def __init__(self, bucket: str, connection: Connection) -> None:
        super().__init__(f"s3://{bucket}")
        self._bucket, self._connection = bucket, connection
        self._endpoint = (
            connection.endpoint or os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
        )
        self._contact = Contact()
        with self._explained(self._root):
            self._session = boto3.session.Session()
            self._client = self._connect(_PATIENT_ATTEMPTS, _READ_TIMEOUT_S)

    def _list(self, prefix: str) -> Iterator[ObjectInfo]:
        with self._explained(self._address(prefix).rstrip("/")):
            pages = self._reach().get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=prefix)
            for page in pages:
                for found in page.get("Contents", ()):
                    yield ObjectInfo(found["Key"], found["Size"], found["ETag"].strip('"'))

    def _folders(self, prefix: str) -> Iterator[str]:
        with self._explained(self._address(prefix).rstrip("/")):
            listing = self._reach().get_paginator("list_objects_v2")
            for page in listing.paginate(Bucket=self._bucket, Prefix=prefix, Delimiter="/"):
                yield from (found["Prefix"] for found in page.get("CommonPrefixes", ()))

    def _stat(self, key: str) -> ObjectInfo:
        with self._explained(self._address(key)):
            found = self._reach().head_object(Bucket=self._bucket, Key=key)
            return ObjectInfo(key, found["ContentLength"], found["ETag"].strip('"'))

    def _get(self, key: str) -> tuple[bytes, str]:
        return self._read(key, lambda found: (found["Body"].read(), found["ETag"].strip('"')))

    def _download(self, key: str, staging: local.Staging) -> None:
        def fill(found: GetObjectOutputTypeDef) -> None:
            staging.restart()
            for chunk in found["Body"].iter_chunks(local.CHUNK_BYTES):
                staging.write(chunk)

        self._read(key, fill)

    def _write(self, key: str, body: Body, *, create: bool, if_match: str | None) -> str:
        _check_size(body, self._address(key))
        condition: dict[str, Any] = {"IfNoneMatch": "*"} if create else {}
        if if_match is not None:
            condition = {"IfMatch": f'"{if_match}"'}
        with self._explained(self._address(key)):
            for attempt in range(_CLASH_ATTEMPTS):
                try:
                    return self._send(key, body, condition)
                except boto.ClientError as error:
                    answer = _answer(error)
                    if answer.clash and condition and attempt + 1 < _CLASH_ATTEMPTS:
                        _pause(attempt)
                    elif answer.failed_condition and answer.retries and (etag := self._committed(key, body)):
                        return etag
                    elif if_match is not None and answer.status == 404 and answer.code != "NoSuchBucket":
                        raise conflict(self._address(key), "is gone") from error
                    else:
                        raise
        raise AssertionError("the last attempt returns or raises")

    def _delete(self, key: str) -> None:
        with self._explained(self._address(key)):
            self._reach().delete_object(Bucket=self._bucket, Key=key)

    def _send(self, key: str, body: Body, condition: dict[str, Any]) -> str:
        client = self._reach()
        if isinstance(body, bytes):
            return client.put_object(Bucket=self._bucket, Key=key, Body=body, **condition)["ETag"].strip('"')
        with body.open("rb") as file:
            return client.put_object(Bucket=self._bucket, Key=key, Body=file, **condition)["ETag"].strip('"')

    def _committed(self, key: str, body: Body) -> str | None:
        """The tag of the object if it holds just these bytes: then a retried put had been done at its first try."""

        def compare(found: GetObjectOutputTypeDef) -> str | None:
            digest = hashlib.sha256()
            for chunk in found["Body"].iter_chunks(local.CHUNK_BYTES):
                digest.update(chunk)
            ours = hashlib.sha256(body).hexdigest() if isinstance(body, bytes) else local.sha256_of(body)
            return found["ETag"].strip('"') if digest.hexdigest() == ours else None

        return self._read(key, compare)

    def _read(self, key: str, consume: Callable[[GetObjectOutputTypeDef], T]) -> T:
        with self._explained(self._address(key)):
            for attempt in range(_BODY_ATTEMPTS):
                try:
                    return consume(self._reach().get_object(Bucket=self._bucket, Key=key))
                except _BROKEN_BODY:
                    if attempt + 1 == _BODY_ATTEMPTS:
                        raise
                    _pause(attempt)
        raise AssertionError("the last attempt returns or raises")

    def _reach(self) -> S3Client:
        """The client, after a first quick question has shown that there is someone to answer."""
        if not self._contact.made:
            self._contact.make(self._knock)
        return self._client

    def _knock(self) -> None:
        with self._explained(self._root):
            try:
                self._connect(_QUICK_ATTEMPTS, _QUICK_READ_TIMEOUT_S).head_bucket(Bucket=self._bucket)
            except boto.ClientError as error:
                if _answer(error).status == 404:
                    mend = "Create the bucket, or mend its name in the URI."
                    raise NoStoreError(self._root, f"no such bucket at {self._endpoint or 'AWS'}", mend) from error
                # any other refusal is an answer, and may concern this question only: the real request will tell

    def _connect(self, attempts: int, read_timeout_s: float) -> S3Client:
        path_style = bool(self._endpoint) if self._connection.path_style is None else self._connection.path_style
        checksums = _checksums(self._connection, self._endpoint)
        config = Config(
            retries={"mode": "standard", "total_max_attempts": attempts},
            connect_timeout=_CONNECT_TIMEOUT_S,
            read_timeout=read_timeout_s,
            max_pool_connections=MOST_CONNECTIONS,
            s3={"addressing_style": "path" if path_style else "auto"},
            request_checksum_calculation=checksums,
            response_checksum_validation=checksums,
        )
        authority = self._connection.certificate_authority
        return self._session.client(
            "s3",
            endpoint_url=self._endpoint,
            region_name=self._region(),
            verify=str(authority) if authority else None,
            config=config,
        )

    def _region(self) -> str:
        named = self._connection.region or os.environ.get("AWS_REGION")  # boto3 itself looks only at AWS_DEFAULT_REGION
        return named or self._session.region_name or "us-east-1"

    @contextmanager
    def _explained(self, where: str) -> Iterator[None]:
        try:
            yield
        except boto.ClientError as error:
            raise explain(_answer(error), where) from error
        except (boto.BotoCoreError, ValueError) as error:  # ValueError: an endpoint that is no URL
            raise _explain_failure(error, where, self._endpoint) from error


def _explain_failure(error: Exception, where: str, endpoint: str | None) -> TreeringError:
    """The error for a request that got no answer at all."""
    there = endpoint or "AWS"
    if isinstance(error, _NO_CREDENTIALS):
        return AccessDeniedError(where, f"no usable credentials ({error})", CREDENTIALS_MEND)
    if isinstance(error, boto.SSLError):
        mend = "If the server has its own CA, name it in spec.store.certificateAuthority."
        return UnreachableError(where, f"the certificate of {there} is not trusted ({error})", mend)
    if isinstance(error, (boto.HTTPClientError, boto.ConnectionError, *_BROKEN_BODY)):
        mend = "Check spec.store.endpoint, that the server runs, and that the network lets this machine reach it."
        return UnreachableError(where, f"{there} does not answer ({error})", mend)
    if isinstance(error, boto.ParamValidationError | ValueError | boto.InvalidRegionError):
        return BadSpecError(where, str(error), "Check the URI, spec.store.endpoint and spec.store.region.")
    return StoreError(where, str(error), "Check the URI, spec.store and the credentials.")


def _answer(error: boto.ClientError) -> Answer:
    said, meta = error.response.get("Error", {}), error.response.get("ResponseMetadata", {})
    return Answer(
        code=str(said.get("Code", "")),
        status=int(meta.get("HTTPStatusCode", 0)),
        message=str(said.get("Message", "")),
        retries=int(meta.get("RetryAttempts", 0)),
    )


def _checksums(connection: Connection, endpoint: str | None) -> Literal["when_required", "when_supported"]:
    if connection.checksums == "auto":
        return "when_required" if endpoint else "when_supported"
    return "when_required" if connection.checksums == "whenRequired" else "when_supported"


def _check_size(body: Body, where: str) -> None:
    size_bytes = len(body) if isinstance(body, bytes) else body.stat().st_size
    if size_bytes > _LARGEST_BYTES:
        raise StoreError(where, f"{size_bytes} bytes are too many for one object", "Keep objects below 5 GiB.")


def _pause(attempt: int) -> None:
    time.sleep(random.uniform(0.5, 1.0) * 0.1 * 2**attempt)
