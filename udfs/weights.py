"""How a bundle gets from the driver to the hosts: by broadcast or by a path that all see, once per host onto its disk.

Spark Connect has no broadcast: ``udfs.connect`` has what takes its place.

Each way is a small picklable description made on the driver, whose ``folder()`` runs in the worker and gives the
bundle's folder on that host (``engine.models.cache``).
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from engine.audio.roots import location_of
from engine.device import Choice
from engine.errors import ModelError
from engine.models import cache
from engine.models.bundle import Bundle
from engine.models.store import Store
from udfs.broadcast import broadcast
from udfs.connect import is_connect, upload
from udfs.storage import storage_of

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

#: Names a path that all hosts of a cluster see, for all who score there: a Spark property.
SETTING: Final = "spark.embercast.weightsPath"
#: Larger bundles go by such a path where one is named: a broadcast is fetched and kept whole by each executor.
BROADCAST_BYTES: Final = 2 << 30
HERE: Final = "this host's own folder"
BROADCAST: Final = "broadcast"
ARTIFACTS: Final = "artifacts of the session"


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
class StoredWeights:
    """A place in an object store that driver and executors all reach; each host copies it into its cache once."""

    store: Store
    digest: str
    root: Path | None = None

    def folder(self) -> Path:
        return cache.ensure(self.digest, partial(self.store.fetch, self.digest), root=self.root)


def choose_way(spark: SparkSession, nbytes: int, *, weights_path: str | None = None) -> Choice[str]:
    """How a bundle of so many bytes gets to the executors: ``HERE``, ``BROADCAST``, ``ARTIFACTS`` or a shared path.

    Runs on the driver. ``weights_path`` is the definition's; ``SETTING`` names one for a whole cluster, for what is too
    large to be broadcast, or sent as artifacts on Spark Connect, which has no broadcast.
    """
    if weights_path is not None:
        return Choice(weights_path, "asked for")
    connect = is_connect(spark)
    if not connect and spark.sparkContext.master.split("[")[0] == "local":
        return Choice(HERE, "workers share the driver's disk")
    sent, most = ARTIFACTS if connect else BROADCAST, f"{BROADCAST_BYTES >> 30} GiB"
    if nbytes <= BROADCAST_BYTES:
        return Choice(sent, f"at most {most}")
    named = spark.conf.get(SETTING, None)
    if named:
        return Choice(named, f"more than {most}")
    return Choice(sent, f"more than {most}, but {SETTING} names no path that all hosts see")


def ship(spark: SparkSession, bundle: Bundle, *, weights_path: str | None = None, root: Path | None = None) -> Weights:
    """Makes a bundle reachable for every executor, in the way that ``choose_way`` says. Runs on the driver.

    In local mode nothing is sent; ``root`` (a cache folder for the executors) asks for the broadcast there too. A path
    that all hosts see is a folder or a URI of an object store; each bundle lies there once, by its digest. Raises
    ModelError where there is no such folder, and where the store can't be written.
    """
    way = choose_way(spark, bundle.nbytes, weights_path=weights_path)
    if way.value == ARTIFACTS:
        return upload(spark, bundle, root=root)
    if way.value not in (HERE, BROADCAST):
        return _share(spark, bundle, way.value, root)
    if way.value == HERE and root is None:
        return LocalWeights(bundle.path)
    return broadcast(spark.sparkContext, bundle, root=root)


def _share(spark: SparkSession, bundle: Bundle, shared: str, root: Path | None) -> Weights:
    place = location_of(shared, "weights_path")
    if place.scheme != "file":
        store = Store(place, storage_of(spark, [shared]))
        store.put(bundle.path, bundle.manifest)
        return StoredWeights(store, bundle.digest, root)
    folder = Path(place.path).absolute()  # a worker runs elsewhere
    if not folder.is_dir():  # an unmounted share must not become a folder of this host alone
        raise ModelError(f"expected a folder at weights_path {shared}, there is none: make or mount it on every host")
    path = cache.ensure(bundle.digest, SharedWeights(bundle.path, bundle.digest)._copy, root=folder)
    return SharedWeights(path, bundle.digest, root)
