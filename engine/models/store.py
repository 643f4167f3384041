"""A bundle in an object store that driver and executors reach: laid there by the driver, fetched by each host.

    <place>/bundles/<digest>/               the bundle's files
    <place>/bundles/<digest>/bundle.json    its manifest, written last: where it is, the others are

Through pyarrow.fs, in pieces: no file is held in memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from engine.audio.roots import Location
from engine.audio.storage import Storage, filesystem
from engine.errors import ModelError
from engine.models.manifest import FILE, Manifest

_PIECE: Final = 8 << 20
#: Stores of objects, which know no folders; the others want them made.
_FLAT: Final = ("s3", "gs")


@dataclass(frozen=True)
class Store:
    """A place in an object store, and how its bucket is reached. Picklable; ``repr`` shows no key."""

    place: Location
    storage: Storage = field(default_factory=Storage)

    def put(self, folder: Path, manifest: Manifest) -> None:
        """Lays a bundle's files there, but those that are there in their size. Runs on the driver.

        Raises ModelError where the store can't be written.
        """
        with self._reached("lay the weights") as (files, place):
            there = f"{place}/bundles/{manifest.digest}"
            if self.place.scheme not in _FLAT:
                files.create_dir(there, recursive=True)
            sizes = {name: size for name, (_, size) in manifest.files.items()}
            sizes[FILE] = (folder / FILE).stat().st_size
            found = files.get_file_info([f"{there}/{name}" for name in sizes])
            for (name, size), info in zip(sizes.items(), found, strict=True):
                if info.size != size:
                    self._copy(str(folder / name), None, f"{there}/{name}", files)

    def fetch(self, digest: str, into: Path) -> None:
        """Copies a bundle's files into a folder. Runs on the executor.

        Raises ModelError where the store can't be read, or holds something else under the digest.
        """
        with self._reached("find the weights") as (files, place):
            there = f"{place}/bundles/{digest}"
            self._copy(f"{there}/{FILE}", files, str(into / FILE), None)
            manifest = Manifest.read(into)
            if manifest.digest != digest:  # before a name of it is believed
                raise ModelError(f"expected the bundle {digest[:12]} below {self.place.uri}, it was written over")
            for name in manifest.files:
                (into / name).parent.mkdir(parents=True, exist_ok=True)
                self._copy(f"{there}/{name}", files, str(into / name), None)

    @contextmanager
    def _reached(self, what: str) -> Iterator[tuple[Any, str]]:
        try:
            files, place = filesystem(self.place, self.storage)
            yield files, place.rstrip("/")
        except (OSError, ValueError) as error:
            raise ModelError(
                f"expected to {what} at {self.place.uri}, got {type(error).__name__}: {error}. See that bucket and "
                "keys are right where this runs (spark.hadoop.fs.s3a.…, else the environment)"
            ) from error

    def _copy(self, source: str, source_files: Any, target: str, target_files: Any) -> None:
        from pyarrow.fs import LocalFileSystem, copy_files

        here = LocalFileSystem()
        copy_files(source, target, source_files or here, target_files or here, chunk_size=_PIECE)
