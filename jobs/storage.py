"""Small text files beside a table, wherever Hadoop's filesystems reach. Runs on the driver."""

from __future__ import annotations

import os
import uuid
from typing import TYPE_CHECKING, Any, Final

from jobs.errors import RunError
from jobs.references import reveal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pyspark.sql import SparkSession

    from jobs.definition import JobDefinition


#: Stores whose objects appear whole when they are written to the end, and whose renames copy and delete.
_OBJECTS: Final = frozenset({"s3a", "s3", "s3n", "gs", "oss", "cosn", "obs"})


class Folder:
    """A folder of small files; ``uri`` is a path or anything that Spark's Hadoop configuration knows."""

    def __init__(self, spark: SparkSession, uri: str) -> None:
        self.uri = uri
        self._jvm: Any = spark._jvm
        fs = self._jvm.org.apache.hadoop.fs
        # An instance of its own: local checksum files, renamed apart from what they check, would fail a reader between.
        self._files = fs.FileSystem.newInstance(fs.Path(uri).toUri(), spark._jsc.hadoopConfiguration())
        self._files.setWriteChecksum(False)
        self._files.setVerifyChecksum(False)

    def path(self, name: str) -> str:
        """The URI of a file in it."""
        return f"{self.uri}/{name}"

    def exists(self, name: str) -> bool:
        """Whether the folder holds it."""
        return bool(self._files.exists(self._path(name)))

    def read(self, name: str) -> str:
        """The file's text."""
        stream = self._files.open(self._path(name))
        try:
            return bytes(stream.readAllBytes()).decode()
        finally:
            stream.close()

    def create(self, name: str, text: str) -> bool:
        """Writes a new file; False where there is one already."""
        at, alone = self._path(name), "fs.option.create.conditional.overwrite"
        if self._files.hasPathCapability(at, alone):
            return self._create_in_store(self._files.createFile(at).must(alone, True).build(), text)
        try:
            stream = self._files.create(at, False)
        except Exception as error:
            if "FileAlreadyExists" in str(error) or self.exists(name):
                return False
            raise
        self._fill(stream, text)
        return True

    def _create_in_store(self, stream: Any, text: str) -> bool:
        """Objects appear when they are whole: only then can the store say that another was there first."""
        try:
            self._fill(stream, text)
        except Exception as error:
            if "RemoteFileChanged" in str(error):
                return False
            raise
        return True

    def write(self, name: str, text: str) -> None:
        """Writes a file, over one that is there, so that a reader sees the old text or the new."""
        unfinished = f".{name}-{uuid.uuid4().hex}"
        self._fill(self._files.create(self._path(unfinished), True), text)
        self.replace(unfinished, name)

    def replace(self, unfinished: str, name: str) -> None:
        """Moves a file over one that may be there, so that a reader sees the old one or the new one.

        Object stores, whose renames take time and may leave neither, get a copy of its bytes, a few at a time.
        """
        old, new = (self._files.makeQualified(self._path(one)).toUri() for one in (unfinished, name))
        if new.getScheme() in _OBJECTS:
            copy = self._jvm.org.apache.hadoop.fs.FileUtil.copy
            copy(self._files, self._path(unfinished), self._files, self._path(name), True, True, self._files.getConf())
            return
        if new.getScheme() == "file":  # Hadoop's local rename removes the old file first
            os.replace(old.getPath(), new.getPath())
            return
        context = self._jvm.org.apache.hadoop.fs.FileContext.getFileContext(self._files.getUri(), self._files.getConf())
        overwrite = self._jvm.java.lang.reflect.Array.newInstance(self._rename_option().getClass(), 1)
        overwrite[0] = self._rename_option()
        context.rename(self._path(unfinished), self._path(name), overwrite)

    def names(self, name: str) -> Sequence[str]:
        """What lies in a folder in it, by name."""
        return sorted(str(one.getPath().getName()) for one in self._files.listStatus(self._path(name)))

    def rename(self, name: str, to: str) -> bool:
        """Renames a file; False where it is gone."""
        try:
            return bool(self._files.rename(self._path(name), self._path(to)))
        except Exception as error:
            if "FileNotFound" in str(error):
                return False
            raise

    def delete(self, name: str) -> None:
        """Removes a file or folder in it, which need not be there."""
        self._files.delete(self._path(name), True)

    def _path(self, name: str) -> Any:
        return self._jvm.org.apache.hadoop.fs.Path(self.path(name))

    def _rename_option(self) -> Any:
        return getattr(self._jvm, "org.apache.hadoop.fs.Options$Rename").valueOf("OVERWRITE")

    @staticmethod
    def _fill(stream: Any, text: str) -> None:
        try:
            stream.write(bytearray(text.encode()))
        finally:
            stream.close()


def check_reachable(spark: SparkSession, *paths: str | None) -> None:
    """Raises RunError where the session has no filesystem for a path of a definition, with what gives it one."""
    for path in paths:
        if path is not None:
            _check_filesystem(spark, spark._jvm.org.apache.hadoop.fs.Path(reveal(path)))


def _check_filesystem(spark: SparkSession, at: Any) -> None:
    try:
        at.getFileSystem(spark._jsc.hadoopConfiguration())
    except Exception as error:
        if not any(word in str(error) for word in ("ClassNotFound", "UnsupportedFileSystem")):
            raise
        scheme = at.toUri().getScheme()
        advice = {
            "s3a": "EMBERCAST_JARS=s3 embercast …, or spark-submit --jars $(EMBERCAST_JARS=s3 python -m jobs.jars)",
            "s3": "write s3a://, and set EMBERCAST_JARS=s3",
        }.get(scheme, "put the jars of its filesystem into spark.jars")
        raise RunError(f"expected a filesystem for {scheme}:// in the Spark session, it has none: {advice}") from error


def job_folder(spark: SparkSession, definition: JobDefinition, location: str) -> Folder:
    """Where a job keeps its lease, its checkpoint and what it remembers: in its sink's ``location``."""
    return Folder(spark, f"{location}/_embercast/{definition.identity}")
