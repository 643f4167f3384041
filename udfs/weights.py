"""How a bundle gets from the driver to the hosts: once per executor by broadcast, once per host onto the disk.

Spark Connect has no broadcast: ``udfs.connect`` has what takes its place.

Each way is a small picklable description made on the driver, whose ``folder()`` runs in the worker and gives the
bundle's folder on that host (``engine.models.cache``).
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

from engine.errors import ModelError
from engine.models import cache
from engine.models.bundle import Bundle
from engine.models.manifest import FILE
from udfs.connect import is_connect, upload

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

SHARD_BYTES: Final = 64 << 20


class Weights(Protocol):
    """A bundle that any worker can get."""

    def folder(self) -> Path:
        """The bundle's folder on this host, written there first where it is missing. Runs on the executor."""


@dataclass(frozen=True)
class LocalWeights:
    """The driver's own host: the folder the bundle was made in."""

    path: Path

    def folder(self) -> Path:
        return self.path


@dataclass(frozen=True)
class SharedWeights:
    """A folder that driver and executors all see; each host copies it into its cache once."""

    path: Path
    digest: str
    root: Path | None = None

    def folder(self) -> Path:
        return cache.ensure(self.digest, self._copy, root=self.root)

    def _copy(self, into: Path) -> None:
        if not self.path.is_dir():
            raise ModelError(f"expected the weights in {self.path}, this host does not see them: mount the folder here")
        shutil.copytree(self.path, into, dirs_exist_ok=True)


@dataclass(frozen=True)
class BroadcastWeights:
    """Spark's broadcast, in shards: the bundle's files end to end, cut every ``SHARD_BYTES``.

    Args:
        files: name and bytes of each file, in the order they lie in the shards.
        shards: broadcasts of bytes.
        root: the hosts' cache folder; None takes each host's own.
    """

    digest: str
    files: tuple[tuple[str, int], ...]
    shards: tuple[Any, ...]
    root: Path | None = None

    def folder(self) -> Path:
        return cache.ensure(self.digest, self._unpack, root=self.root)

    def _unpack(self, into: Path) -> None:
        # From the broadcast's file, not .value, which would stay in this worker's memory.
        stream = _Stream(shard.load_from_path(shard._path) for shard in self.shards)
        for name, size in self.files:
            path = into / name
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("wb") as file:
                for part in stream.take(size):
                    file.write(part)


def ship(spark: SparkSession, bundle: Bundle, *, weights_path: str | None = None, root: Path | None = None) -> Weights:
    """Makes a bundle reachable for every executor. Runs on the driver.

    In local mode the workers share the driver's disk, so nothing is sent; ``root`` (a cache folder for the executors)
    asks for the broadcast there too. ``weights_path`` names a folder all hosts see, which is used instead of the
    broadcast. Spark Connect's artifacts take its place there. Raises ModelError where there is no such folder.
    """
    if weights_path is not None:
        return _share(bundle, Path(weights_path), root)
    if is_connect(spark):
        return upload(spark, bundle, root=root)
    context = spark.sparkContext
    if root is None and context.master.split("[")[0] == "local":
        return LocalWeights(bundle.path)
    return broadcast(context, bundle, root=root)


def broadcast(context: Any, bundle: Bundle, *, root: Path | None = None) -> BroadcastWeights:
    """Broadcasts a bundle shard by shard: the driver holds one shard in memory at a time."""
    names = [*sorted(bundle.manifest.files), FILE]
    files = tuple((name, (bundle.path / name).stat().st_size) for name in names)
    shards = tuple(context.broadcast(shard) for shard in _shards([bundle.path / name for name in names]))
    return BroadcastWeights(bundle.digest, files, shards, root)


def _share(bundle: Bundle, shared: Path, root: Path | None) -> SharedWeights:
    if not shared.is_dir():  # an unmounted share must not become a folder of this host alone
        raise ModelError(f"expected a folder at weights_path {shared}, there is none: make or mount it on every host")
    path = cache.ensure(bundle.digest, SharedWeights(bundle.path, bundle.digest)._copy, root=shared)
    return SharedWeights(path, bundle.digest, root)


def _shards(paths: list[Path]) -> Iterator[bytes]:
    held = bytearray()
    for path in paths:
        with path.open("rb") as file:
            while part := file.read(SHARD_BYTES - len(held)):
                held += part
                if len(held) == SHARD_BYTES:
                    yield bytes(held)
                    held.clear()
    if held:
        yield bytes(held)


class _Stream:
    """Bytes of the shards end to end; holds one shard at a time."""

    def __init__(self, shards: Iterator[bytes]) -> None:
        self.shards = shards
        self.held = memoryview(b"")

    def take(self, size: int) -> Iterator[memoryview]:
        while size:
            if not self.held:
                self.held = memoryview(next(self.shards))
            part, self.held = self.held[:size], self.held[size:]
            size -= len(part)
            yield part
