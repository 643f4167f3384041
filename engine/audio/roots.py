"""Below which folders and URIs rows may name files: a path of a row is a stranger's.

A path or URI is put in its plain form before it is compared and opened: percent-encoding of a URI is decoded, ``.`` and
``..`` are taken away segment by segment. What is compared is what is opened. On a local disk symbolic links count too:
``engine.audio.local`` follows them first.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final
from urllib.parse import quote, unquote

from engine.errors import ParameterError, RowError

#: Schemes beside file: pyarrow.fs has them; hdfs and viewfs need libhdfs on the executors.
SCHEMES: Final = ("s3", "gs", "abfss", "abfs", "hdfs", "viewfs")
#: What Hadoop and others call them.
_ALSO: Final = {"s3a": "s3", "s3n": "s3", "gcs": "gs"}
_URI: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):(?://([^/]*))?(/.*)?", re.DOTALL)


@dataclass(frozen=True)
class Location:
    """A file or folder.

    Args:
        scheme: file, or one of SCHEMES.
        authority: bucket, container@account or host; empty for file.
        path: for file as it is written; else segments joined by ``/``, none of them ``.`` or ``..``.
    """

    scheme: str
    authority: str
    path: str

    @property
    def uri(self) -> str:
        """As pyarrow.fs reads it."""
        return f"{self.scheme}://{self.authority}/{quote(self.path.lstrip('/'))}"


@dataclass(frozen=True)
class Place:
    """A row's file below one of the roots.

    Args:
        root: that it lies below.
        below: its segments from there on; for a local file, of which links are still to be followed, its whole path.
    """

    root: Location
    below: str


@dataclass(frozen=True)
class Roots:
    """The folders and URIs below which files may be read."""

    locations: tuple[Location, ...]

    @property
    def folders(self) -> tuple[str, ...]:
        """The local ones, as they are written."""
        return tuple(one.path for one in self.locations if one.scheme == "file")

    def place(self, text: str) -> Place:
        """Where the file of a path or URI lies.

        A relative path is taken from the root where there is one, and refused where there are several. Raises
        RowError(outside_roots) for what lies below none; says it of a file that is not there, too.
        """
        if not self.locations:
            raise RowError("outside_roots", "no path may be read: name the folders that may be in roots")
        location = _parsed(text) or self._relative(text)
        if (location.scheme, location.authority) == ("file", "") and self.folders:
            return Place(next(one for one in self.locations if one.scheme == "file"), location.path)
        for root in self.locations:
            below = _below(location, root)
            if below is not None:
                return Place(root, below)
        raise _outside()

    def _relative(self, text: str) -> Location:
        if len(self.locations) > 1 or not text:
            raise _outside()
        [root] = self.locations
        path = f"{root.path}/{text}"
        return Location(root.scheme, root.authority, path if root.scheme == "file" else _plain(path))


@lru_cache(maxsize=64)
def roots_of(texts: tuple[str, ...]) -> Roots:
    """The roots that a definition names. Touches no disk.

    A relative folder is taken from where this process runs: ``absolute`` settles on the driver which that is. Raises
    ParameterError for an empty one and for a URI whose scheme can't be read.
    """
    return Roots(tuple(location_of(text, "roots") for text in texts))


def absolute(roots: Sequence[str]) -> tuple[str, ...]:
    """The same roots, relative folders from where this process runs. Links stay, each host follows its own."""
    return tuple(os.path.abspath(text) if text and _parsed(text) is None else text for text in roots)


def location_of(text: str, name: str) -> Location:
    """A folder or URI that a definition names, under ``name``. Raises ParameterError for an empty or unreadable one."""
    location = _parsed(text) or Location("file", "", text)
    if not text or location.scheme not in ("file", *SCHEMES) or (location.scheme != "file") != bool(location.authority):
        schemes = ", ".join(f"{one}://…/" for one in SCHEMES)
        raise ParameterError(f"expected {name} to be folders or URIs ({schemes}), got {text!r}")
    return location


def _parsed(text: str) -> Location | None:
    """A path or URI as location; None for a relative path."""
    if text.startswith("/"):
        return Location("file", "", text)
    match = _URI.fullmatch(text)
    if match is None:
        return None
    scheme, authority, path = match[1].lower(), match[2] or "", unquote(match[3] or "/")
    scheme = _ALSO.get(scheme, scheme)
    if scheme == "file":
        return Location(scheme, "" if authority == "localhost" else authority, path)
    return Location(scheme, authority, _plain(path))


def _plain(path: str) -> str:
    parts: list[str] = []
    for part in path.split("/"):
        if part == "..":
            del parts[-1:]
        elif part not in ("", "."):
            parts.append(part)
    return "/".join(parts)


def _below(location: Location, root: Location) -> str | None:
    """The segments of a file of an object store below a root; None where it lies elsewhere."""
    if (root.scheme, root.authority) != (location.scheme, location.authority) or root.scheme == "file":
        return None
    if location.path == root.path or not root.path:
        return location.path[len(root.path) :]
    within = location.path.startswith(f"{root.path}/")
    return location.path[len(root.path) + 1 :] if within else None


def _outside() -> RowError:
    return RowError(
        "outside_roots", "expected a path below one of the roots, it lies elsewhere: add its folder to roots"
    )
