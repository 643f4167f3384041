"""The source as a stream: run to the end of what there is now, or until it is stopped. Runs on the driver."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event
from typing import TYPE_CHECKING, Any, Final

from jobs import causes, changes

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from jobs.commits import Commits
    from jobs.storage import Folder

#: How often a stream that goes on is looked at: whether it is to stop, or a limit was reached.
_LOOK_S: Final = 1


def drain(source: DataFrame, commits: Commits, folder: Folder) -> int | None:
    """Commits what there is now. Returns the Delta version of the source that it read up to.

    Raises what a commit raised, SourceChangedError or RunError.
    """
    with _query(source, commits, folder, availableNow=True) as query:
        query.awaitTermination()
    return _version(query.lastProgress)


def follow(source: DataFrame, commits: Commits, folder: Folder, *, every: str, stop: Event) -> int | None:
    """Commits what there is and what comes, a commit ``every`` so often ("1 minute"), until ``stop`` is set.

    A commit that is under way then is waited for. Returns the version and raises as ``drain`` does, LimitReachedError
    besides, where a limit is reached while nothing comes.
    """
    with _query(source, commits, folder, processingTime=every) as query:
        while not stop.is_set() and not query.awaitTermination(_LOOK_S):
            if not _is_busy(query):
                commits.watch.check(commits.totals)
        while _is_busy(query) and not query.awaitTermination(_LOOK_S):
            pass
    return _version(query.lastProgress)


@contextmanager
def _query(source: DataFrame, commits: Commits, folder: Folder, **trigger: Any) -> Iterator[Any]:
    from pyspark.errors import StreamingQueryException

    writer = source.writeStream.foreachBatch(commits).trigger(**trigger)
    query = writer.option("checkpointLocation", folder.path(commits.epoch.checkpoint)).start()
    try:
        yield query
    except StreamingQueryException as error:
        if commits.failure is not None:
            raise commits.failure from None
        changed = changes.source_changed(error, commits.resolved.definition)
        raise changed or causes.of(error, commits.resolved.definition) from error
    finally:
        query.stop()


def _is_busy(query: Any) -> bool:
    return bool(query.status["isTriggerActive"])


def _version(progress: Any) -> int | None:
    """The last whole version of a Delta source in a stream's progress; None for files and where nothing was read."""
    offset = (progress or {"sources": [{}]})["sources"][0].get("endOffset")
    offset = _read(offset) if isinstance(offset, str) else offset
    if not isinstance(offset, dict) or "reservoirVersion" not in offset:
        return None
    return int(offset["reservoirVersion"]) - (1 if int(offset["index"]) < 0 else 0)


def _read(offset: str) -> Any:
    try:
        return json.loads(offset)
    except json.JSONDecodeError:  # pyspark 4.0 and 4.1 show the mapping that they made of it
        return ast.literal_eval(offset)
