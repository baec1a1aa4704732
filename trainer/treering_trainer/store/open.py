"""From a URI to a store. The one place that knows which kinds of stores there are."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

from treering_api.errors import BadSpecError
from treering_trainer.store.base import Store
from treering_trainer.store.connection import Connection
from treering_trainer.store.file import FileStore
from treering_trainer.store.s3 import S3Store

_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,61}[A-Za-z0-9]")
_MEND = "Write s3://bucket/prefix or file:///absolute/path."


def open_store(uri: str, connection: Connection = Connection()) -> Store:  # noqa: B008 - frozen
    """The store at a URI. Touches neither disk nor network: what is not there shows at the first call.

    Args:
        uri: `s3://bucket[/prefix]`, taken literally, or `file:///absolute/path`, with `%20` and the like decoded.
        connection: how to reach the S3 server.

    Raises:
        BadSpecError: not such a URI, or an endpoint that is none.
    """
    scheme, separator, rest = uri.partition("://")
    if separator and scheme == "file":
        return _open_folder(uri, rest)
    if separator and scheme == "s3":
        return _open_bucket(uri, rest, connection)
    mend = f"{_MEND} Did you mean file://{uri}?" if uri.startswith("/") else _MEND
    raise BadSpecError(_without_secret(uri), "is not the URI of a store", mend)


def _open_folder(uri: str, rest: str) -> Store:
    path = unquote(rest.removeprefix("localhost"))
    if not path.startswith("/") or path.startswith("//"):
        raise BadSpecError(uri, "is not an absolute path after file://", "Write file:///absolute/path, three slashes.")
    if ".." in path.split("/") or "\0" in path or not path.strip("/"):
        raise BadSpecError(uri, "can't be a store's folder", "Name a folder below /, without '..' in its path.")
    return FileStore(Path(path))


def _open_bucket(uri: str, rest: str, connection: Connection) -> Store:
    bucket, _, prefix = rest.partition("/")
    if "@" in bucket:
        mend = "Leave them out and set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY or spec.store.credentialsSecret."
        raise BadSpecError(_without_secret(uri), "has credentials in it", mend)
    if not _BUCKET.fullmatch(bucket):
        raise BadSpecError(uri, f"{bucket!r} can't be a bucket's name", _MEND)
    _check_connection(connection)
    root = S3Store(bucket, connection)
    return root.at(prefix) if prefix.rstrip("/") else root


def _check_connection(connection: Connection) -> None:
    if connection.endpoint is not None:
        parts = urlsplit(connection.endpoint)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.username:
            found = f"{_without_secret(connection.endpoint)!r} is not the address of a server"
            raise BadSpecError("spec.store.endpoint", found, "Write http://host:port or https://host, nothing more.")
    authority = connection.certificate_authority
    if authority is not None and not authority.is_file():
        raise BadSpecError("spec.store.certificateAuthority", f"{authority} is not there", "Name a PEM file.")


def _without_secret(uri: str) -> str:
    return re.sub(r"//[^/]*@", "//***@", uri)
