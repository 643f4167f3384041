"""Why Spark gave up, in the user's words, where it is a known fault of machines and files. Runs on the driver."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from engine.errors import EmbercastError
from jobs.errors import RunError

if TYPE_CHECKING:
    from jobs.definition import JobDefinition

#: Words in Spark's error → what happened and what to do; the first that fits counts.
_CAUSES: Final = {
    "No space left on device": "a disk is full. Free room where the sink lies, in Spark's temporary folder "
    "(spark.local.dir) and in the cache of models (EMBERCAST_CACHE, EMBERCAST_CACHE_GB)",
    "FILE_NOT_EXIST": "{file} of the source is gone: VACUUM or another hand removed it. Put it back (Delta: RESTORE "
    "TABLE … TO VERSION AS OF …)",
    "FAILED_READ_FILE": "{file} of the source can't be read, it is damaged. Write it again, or put back the version "
    "of the table before it (Delta: RESTORE TABLE … TO VERSION AS OF …)",
    "ExecutorLostFailure": "executors were lost at every try of a task: the cluster took them away, or their memory "
    "ran out. Give them more (spark.executor.memoryOverhead), or lower compute.batch_tokens",
    "Python worker exited unexpectedly": "a Python worker died at every try of its task; memory that ran out is the "
    "usual reason. Give the executors more, or lower compute.batch_tokens. Where a task is tried once only "
    "(spark.task.maxFailures, master local[*]), let it be tried again (local[*,4]): a row that kills its worker is "
    "then found and set aside",
}
_FILE: Final = re.compile(r"[\w.=-]+\.(?:parquet|json|csv)\b")


def of(error: BaseException, definition: JobDefinition) -> RunError | None:
    """The error in the user's words, without what Spark says of rows; None where the cause is not known."""
    text = str(error)
    sentence = next((sentence for words, sentence in _CAUSES.items() if words in text), None)
    if sentence is None:
        return None
    file = _FILE.search(text)
    said = sentence.format(file=file[0] if file else "a file")
    return RunError(
        f"the run of {definition.name} from {definition.source.shown} into {definition.sink.shown} failed: {said}. "
        "What was committed stays; run the job again, and it goes on from there"
    )


@contextmanager
def told(definition: JobDefinition) -> Iterator[None]:
    """Raises RunError with the cause where the block raises an error of Spark's whose cause is known."""
    try:
        yield
    except EmbercastError:
        raise
    except Exception as error:
        known = of(error, definition)
        if known is None:
            raise
        raise known from error
