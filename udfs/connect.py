"""Spark Connect, whose client has neither a JVM nor a SparkContext: how a bundle gets to its executors all the same.

There is no broadcast. So the client uploads the bundle's files to the server as artifacts of its session, in chunks;
each executor fetches them once, with the first task that it runs for the session, and each host copies them into its
cache once.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from engine.models import cache
from engine.models.bundle import Bundle
from engine.models.manifest import FILE

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

#: session → the digests that were uploaded to it.
_SENT: WeakKeyDictionary[Any, set[str]] = WeakKeyDictionary()


@dataclass(frozen=True)
class ArtifactWeights:
    """A bundle among the artifacts of a session.

    Args:
        digest: of the bundle.
        files: name in the bundle and name of the artifact, a pair for each file.
        root: the hosts' cache folder; None takes each host's own.
    """

    digest: str
    files: tuple[tuple[str, str], ...]
    root: Path | None = None

    def folder(self) -> Path:
        """The bundle's folder on this host, copied there first where it is missing. Runs on the executor."""
        return cache.ensure(self.digest, self._copy, root=self.root)

    def _copy(self, into: Path) -> None:
        from pyspark import SparkFiles

        for name, artifact in self.files:
            (into / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(SparkFiles.get(artifact), into / name)


def is_connect(spark: SparkSession) -> bool:
    """Whether a session is a client of Spark Connect."""
    return type(spark).__module__.startswith("pyspark.sql.connect")


def upload(spark: SparkSession, bundle: Bundle, *, root: Path | None = None) -> ArtifactWeights:
    """Makes a bundle's files artifacts of a Spark Connect session, once a session. Runs on the client.

    Artifacts are known by the names of their files, so links with names of their own are sent: nothing is copied here.
    """
    names = [*sorted(bundle.manifest.files), FILE]
    files = tuple((name, f"embercast-{bundle.digest[:32]}-{at}") for at, name in enumerate(names))
    sent = _SENT.setdefault(spark, set())
    if bundle.digest not in sent:
        with TemporaryDirectory() as folder:
            for name, artifact in files:
                (Path(folder) / artifact).symlink_to((bundle.path / name).resolve())
            spark.addArtifacts(*(str(Path(folder) / artifact) for _, artifact in files), file=True)
        sent.add(bundle.digest)
    return ArtifactWeights(bundle.digest, files, root)
