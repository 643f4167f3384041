"""Object stores that rows' URIs name, through pyarrow.fs: which bucket is reached how.

s3, s3a and s3n: endpoint and keys as ``Storage`` says, which the driver fills from Spark's Hadoop configuration, else
AWS's own chain (environment, profile, the machine's role). gs, abfss and abfs: pyarrow's default chain in the worker's
environment. hdfs and viewfs: libhdfs and HADOOP_CONF_DIR on the executors. Any other scheme that Spark reads comes as
bytes, by a source of ``format: binaryFile``. Runs in a reader thread.
"""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, BinaryIO, Final, cast

from engine.audio.roots import Location, Place
from engine.errors import RowError

#: Bytes that are fetched at once: a request costs tens of milliseconds.
_FETCHED: Final = 1 << 20


@dataclass(frozen=True, kw_only=True)
class Bucket:
    """How a bucket of S3, or of a store that speaks like it, is reached. Keys never show in ``repr``.

    Args:
        name: of the bucket.
        endpoint: host, with port and scheme where they differ; None for AWS.
        region: None asks AWS for the bucket's.
        access_key, secret_key, session_token: None takes AWS's default chain.
        anonymous: whether no key is used.
        path_style: whether the bucket stands in the path instead of in the host.
        secure: whether https is spoken, where the endpoint does not say.
    """

    name: str
    endpoint: str | None = None
    region: str | None = None
    access_key: str | None = field(default=None, repr=False)
    secret_key: str | None = field(default=None, repr=False)
    session_token: str | None = field(default=None, repr=False)
    anonymous: bool = False
    path_style: bool = False
    secure: bool = True


@dataclass(frozen=True)
class Storage:
    """What the driver tells of the buckets among the roots; small, and pickled with what travels to the workers."""

    buckets: tuple[Bucket, ...] = ()

    def bucket(self, name: str) -> Bucket:
        """What is known of a bucket, or that nothing is."""
        return next((one for one in self.buckets if one.name == name), Bucket(name=name))


def open_remote(place: Place, storage: Storage) -> BinaryIO:
    """A file of an object store as a seekable stream, fetched piece by piece.

    Raises RowError: not_found, or unreadable for whatever else the store or the network says.
    """
    try:
        files, folder = filesystem(place.root, storage)
        raw = files.open_input_file(f"{folder.rstrip('/')}/{place.below}" if place.below else folder)
    except FileNotFoundError:
        raise RowError("not_found", "expected a file at the URI, there is none") from None
    except (OSError, ValueError) as error:  # pyarrow's own are of these
        raise RowError("unreadable", f"opening the file raised {type(error).__name__}: try again") from None
    return io.BufferedReader(cast(io.RawIOBase, raw), _FETCHED)


@lru_cache(maxsize=64)
def filesystem(root: Location, storage: Storage) -> tuple[Any, str]:
    """The root's filesystem of pyarrow.fs and its path there. A row's URI never comes here: it could name a server."""
    from pyarrow.fs import FileSystem, S3FileSystem

    if root.scheme != "s3":
        files, folder = FileSystem.from_uri(root.uri)
        return files, folder
    return S3FileSystem(**_options(storage.bucket(root.authority))), f"{root.authority}/{root.path}".rstrip("/")


def _options(bucket: Bucket) -> dict[str, Any]:
    options: dict[str, Any] = {
        "access_key": bucket.access_key,
        "secret_key": bucket.secret_key,
        "session_token": bucket.session_token,
        "anonymous": bucket.anonymous,
        "region": bucket.region,
    }
    if bucket.endpoint is None:
        return {**options, "region": bucket.region or _region(bucket.name)}
    scheme, _, host = bucket.endpoint.rpartition("://")
    return {
        **options,
        "endpoint_override": host.rstrip("/"),
        "scheme": scheme or ("https" if bucket.secure else "http"),
        "force_virtual_addressing": not bucket.path_style,
    }


def _region(bucket: str) -> str:
    from pyarrow.fs import resolve_s3_region

    return str(resolve_s3_region(bucket))
