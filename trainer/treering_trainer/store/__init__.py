"""Where everything lives: `s3://bucket/prefix` or `file:///folder`, with the same meaning.

The stages use what is named here and nothing else of the package.
"""

from treering_trainer.store.base import Capabilities, ObjectInfo, Store
from treering_trainer.store.capability import probe
from treering_trainer.store.connection import Checksums, Connection
from treering_trainer.store.errors import (
    AccessDeniedError,
    ConflictError,
    IntegrityError,
    NoStoreError,
    NotFoundError,
    UnreachableError,
)
from treering_trainer.store.local import sha256_of, write_atomic
from treering_trainer.store.manifest import Manifest, check_file, describe_file, read_manifest, write_manifest
from treering_trainer.store.open import open_store
from treering_trainer.store.transfer import Pulled, Pushed, Transferred, pull, push

__all__ = [
    "AccessDeniedError",
    "Capabilities",
    "Checksums",
    "ConflictError",
    "Connection",
    "IntegrityError",
    "Manifest",
    "NoStoreError",
    "NotFoundError",
    "ObjectInfo",
    "Pulled",
    "Pushed",
    "Store",
    "Transferred",
    "UnreachableError",
    "check_file",
    "describe_file",
    "open_store",
    "probe",
    "pull",
    "push",
    "read_manifest",
    "sha256_of",
    "write_atomic",
    "write_manifest",
]
