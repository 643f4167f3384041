"""What an error of Spark's says is told by names alone, but for what the engine itself says."""

from __future__ import annotations

from pathlib import Path

import pytest
from py4j.protocol import Py4JError
from pyspark.errors import AnalysisException, SparkRuntimeException

from jobs import causes
from jobs.errors import RunError
from tests.spark.job import define

SECRET = "xylophonists"
CAST = f"""[STREAM_FAILED] Query 1 terminated with exception: [CAST_INVALID_INPUT] The value '{SECRET}' of the type
"STRING" cannot be cast to "INT"
org.apache.spark.SparkNumberFormatException: [CAST_INVALID_INPUT] The value '{SECRET}' of the type
Caused by: java.lang.NumberFormatException: For input string: {SECRET}
\tat org.apache.spark.sql.Casts.of(Casts.scala:12)
"""
PYTHON = f"""[PYTHON_EXCEPTION] An exception was thrown from the Python worker:
Traceback (most recent call last):
  File "/opt/spark/python/worker.py", line 2044, in main
    process()
  File "/opt/packages/reader/cells.py", line 31, in read
    raise KeyError("{SECRET}")
KeyError: '{SECRET}'
"""
OURS = f"""[PYTHON_EXCEPTION] An exception was thrown from the Python worker:
Traceback (most recent call last):
  File "/opt/udfs/weights.py", line 51, in _copy
    raise ModelError
engine.errors.ModelError: expected the weights in /mnt/weights, this host does not see them: mount the folder here

{SECRET}
"""


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            CAST,
            "Spark ended with STREAM_FAILED, org.apache.spark.SparkNumberFormatException, "
            "java.lang.NumberFormatException. Its own words",
        ),
        (PYTHON, "Spark ended with PYTHON_EXCEPTION, KeyError in read at cells.py:31. Its own words"),
        (
            OURS,
            "failed: expected the weights in /mnt/weights, this host does not see them: mount the folder here. What",
        ),
        (SECRET, "Spark ended with an error without a name. Its own words"),
    ],
)
def test_spark_s_words_are_told_by_names(text: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(RunError) as raised, causes.told(define(tmp_path, "m")):
        raise SparkRuntimeException(message=text)
    assert said in str(raised.value)
    assert SECRET not in str(raised.value)
    assert str(raised.value).endswith("What was committed stays; run the job again, and it goes on from there")
    assert isinstance(raised.value.__cause__, SparkRuntimeException)


def test_the_bridge_to_the_jvm_is_spark_too(tmp_path: Path) -> None:
    with (
        pytest.raises(RunError, match=r"Spark ended with py4j\.Error in f at a\.py:1"),
        causes.told(define(tmp_path, "m")),
    ):
        raise Py4JError(f'py4j.Error: {SECRET}\n  File "a.py", line 1, in f')


@pytest.mark.parametrize("error", [ZeroDivisionError("none"), AnalysisException("no such column"), RunError("ours")])
def test_what_is_not_of_a_run_is_left_as_it_is(error: Exception, tmp_path: Path) -> None:
    with pytest.raises(type(error), match=str(error)) as raised, causes.told(define(tmp_path, "m")):
        raise error
    assert raised.value is error
