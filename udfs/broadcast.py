"""A bundle by Spark's broadcast: the driver reads it a shard at a time, each executor fetches it once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from weakref import WeakKeyDictionary, WeakValueDictionary

from engine.models import cache
from engine.models.bundle import Bundle
from engine.models.manifest import FILE

SHARD_BYTES: Final = 64 << 20


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
        """The bundle's folder on this host, unpacked there first where it is missing. Runs on the executor."""
        return cache.ensure(self.digest, self._unpack, root=self.root)

    def _unpack(self, into: Path) -> None:
        stream = _Stream(map(_bytes_of, self.shards))
        for name, size in self.files:
            path = into / name
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("wb") as file:
                for part in stream.take(size):
                    file.write(part)


#: context → (digest, root) → what was broadcast there, as long as somebody scores with it.
_SENT: WeakKeyDictionary[Any, WeakValueDictionary[tuple[str, Path | None], BroadcastWeights]] = WeakKeyDictionary()


def broadcast(context: Any, bundle: Bundle, *, root: Path | None = None) -> BroadcastWeights:
    """Broadcasts a bundle shard by shard, once a session: the driver holds one shard in memory at a time."""
    sent = _SENT.setdefault(context, WeakValueDictionary())
    weights = sent.get((bundle.digest, root))
    if weights is None:
        names = [*sorted(bundle.manifest.files), FILE]
        files = tuple((name, (bundle.path / name).stat().st_size) for name in names)
        shards = tuple(map(context.broadcast, _shards([bundle.path / name for name in names])))
        sent[bundle.digest, root] = weights = BroadcastWeights(bundle.digest, files, shards, root)
    return weights


def _bytes_of(shard: Any) -> bytes:
    """From the broadcast's file, not by ``value``, which would stay in this worker's memory.

    Where Spark encrypts what it keeps (``spark.io.encryption.enabled``) there is no file: the worker has it already.
    """
    path = getattr(shard, "_path", None)
    return bytes(shard.value) if path is None else shard.load_from_path(path)


def _shards(paths: list[Path]) -> Iterator[bytearray]:
    """The files end to end, each shard in a buffer of its own: none is copied."""
    held, taken = bytearray(SHARD_BYTES), 0
    for path in paths:
        with path.open("rb", buffering=0) as file:
            while read := file.readinto(memoryview(held)[taken:]):
                taken += read
                if taken == SHARD_BYTES:
                    yield held
                    del held  # before there is another
                    held, taken = bytearray(SHARD_BYTES), 0
    if taken:
        yield held[:taken]


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
