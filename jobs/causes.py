"""Why Spark gave up, in the user's words; where they are not known, by names alone. Runs on the driver.

Spark's own words may quote a row: they stay in Spark's log and in the error's ``__cause__``.
"""

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
#: A condition of Spark's, or a class, at the beginning of a line of its words; the message behind it is left out.
_NAME: Final = re.compile(
    r"^\s*(?:Caused by: )?(?:\[([A-Z][A-Z_]+(?:\.[A-Z_]+)*)\]|((?:\w+\.)*\w*(?:Error|Exception))(?=[:\s]|$))",
    re.MULTILINE,
)
#: What the engine raised in a worker: its messages carry no row.
_OURS: Final = re.compile(r"^(?:engine|jobs|udfs)\.[\w.]*Error: (.+)$", re.MULTILINE)
#: A line of a Python traceback: file, line, function.
_FRAME: Final = re.compile(r'^\s*File "(?:[^"\n]*/)?([^"/\n]+)", line (\d+), in (\w+)', re.MULTILINE)


def of(error: BaseException, definition: JobDefinition) -> RunError:
    """An error of Spark's in the user's words, without what Spark says of rows."""
    text = str(error)
    sentence = next((sentence for words, sentence in _CAUSES.items() if words in text), None)
    if sentence is not None:
        file = _FILE.search(text)
        said = sentence.format(file=file[0] if file else "a file")
    elif ours := _OURS.search(text):
        said = ours[1].rstrip(".")
    else:
        said = f"Spark ended with {_names(text)}. Its own words, which may quote rows, are in its log"
    return RunError(
        f"the run of {definition.name} from {definition.source.shown} into {definition.sink.shown} failed: {said}. "
        "What was committed stays; run the job again, and it goes on from there"
    )


@contextmanager
def told(definition: JobDefinition) -> Iterator[None]:
    """Raises RunError in the place of an error that Spark met while it ran; refusals of a query quote no row."""
    from py4j.protocol import Py4JError
    from pyspark.errors import AnalysisException, PySparkException

    try:
        yield
    except (EmbercastError, AnalysisException):
        raise
    except (PySparkException, Py4JError) as error:
        raise of(error, definition) from error


def _names(text: str) -> str:
    """Conditions and classes that Spark's words name, each once, and where Python's own code stopped."""
    found = dict.fromkeys(condition or kind for condition, kind in _NAME.findall(text))
    frames = _FRAME.findall(text)
    where = " in {} at {}:{}".format(frames[-1][2], *frames[-1][:2]) if frames else ""
    return (", ".join(found) or "an error without a name") + where
