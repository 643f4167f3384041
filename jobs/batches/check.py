"""What a definition of batch files must hold, beside what every definition must."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Final

from jobs.batches import FILES, FORMAT, KEY
from jobs.batches.endpoints import ENDPOINTS
from jobs.fields import refuse

if TYPE_CHECKING:
    from jobs.sections import Sink, Source

_TASKS: Final = " or ".join(ENDPOINTS)


def check_source(source: Source, told: Mapping[str, Any]) -> None:
    """Refuses a batch file as a source without a task that is an endpoint. ``told``: the fields before it."""
    if source.format == FORMAT:
        _has_endpoint(told)


def check_sink(sink: Sink, told: Mapping[str, Any]) -> None:
    """Refuses batch files as a sink of another task or key, and where the source would read them."""
    if sink.format != FORMAT:
        return
    _has_endpoint(told)
    source: Source | None = told.get("source")
    if source is None:  # has errors of its own
        return
    if source.key != [KEY]:
        raise refuse(f"the key {KEY} for files of format {FORMAT}", ", ".join(source.key), f"write key: [{KEY}]")
    if source.table is None and _reads(source.location, sink.location):
        raise refuse("a folder that the source does not read", sink.shown, "write another path, such as out/")


def _has_endpoint(told: Mapping[str, Any]) -> None:
    if "task" in told and told["task"] not in ENDPOINTS:
        got = told["task"] or "none"
        raise refuse(f"the task {_TASKS} for files of format {FORMAT}", got, f"write task: {next(iter(ENDPOINTS))}")


def _reads(source: str, sink: str) -> bool:
    """Whether a source, a file, folder or glob, reads the files of a sink; both are locations."""
    pattern, folder = (posixpath.normpath(place.removeprefix("path:")) for place in (source, sink))
    read = (posixpath.normpath(posixpath.join(folder, name)) for name in ("", *FILES))
    return pattern == folder or any(_meets(place.split("/"), pattern.split("/")) for place in read)


def _meets(place: list[str], pattern: list[str]) -> bool:
    # folder by folder: a star of Hadoop's meets no slash
    return len(place) == len(pattern) and all(map(fnmatchcase, place, pattern))
