"""What can't go through MLflow's doors, and what is said of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pyarrow as pa
import pytest

import udfs.pyfunc
from engine.errors import SchemaError
from tests import speech
from tests.conformance.base import assert_same, spoilt
from tests.golden.conftest import Goldens
from tests.golden.doors import DOORS, Rows

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = pytest.mark.spark

#: The row whose text is not UTF-8.
BROKEN: Final = 1
SAID: Final = "text-to-audio gives bytes, which stock spark_udf refuses as a result: score it with a job, udfs.score"


def test_a_text_that_is_not_utf_8_costs_its_row_and_at_stock_spark_udf_the_query(
    golden: Goldens, tmp_path: Path
) -> None:
    from pyspark.errors import PySparkException

    model = golden("text-classification")
    few = model.rows.table.slice(0, 6)
    rows = replace(model.rows, table=spoilt(few, "text", [BROKEN]), folder=tmp_path)
    for door in ("udfs.score", "udfs.register", "udfs.pyfunc.load"):
        found = DOORS[door](rows)
        broken = found.pop(BROKEN)
        assert broken is not None
        assert broken["error"]["code"] == "invalid_text"
        assert_same(found, model.expected[:BROKEN] + model.expected[BROKEN + 1 : few.num_rows])
    with pytest.raises(PySparkException, match=r"ArrowException: Unknown error: Wrapping"):
        DOORS["mlflow.pyfunc.spark_udf"](rows)


def test_sounds_go_through_our_doors_and_mlflow_s_say_which_they_are(spark: SparkSession, tmp_path: Path) -> None:
    import mlflow
    from pyspark.errors import PySparkException

    artifact = str(tmp_path / "artifact")
    udfs.pyfunc.save_model(str(speech.save(tmp_path / "speech")), artifact, task="text-to-audio")
    table = pa.table({"id": pa.array([0, 1], pa.int32()), "text": ["a good day", None]})
    rows = Rows(spark=spark, uri=artifact, dtype="float32", table=table, folder=tmp_path)
    expected = DOORS["udfs.pyfunc.load"](rows)
    assert expected[0] is not None
    assert speech.samples(expected[0]["audio"]).size > 0
    assert expected[1] is None
    assert_same(DOORS["udfs.score"](rows), expected)
    with pytest.raises(SchemaError, match=SAID):
        mlflow.pyfunc.load_model(artifact)
    with pytest.raises(PySparkException, match=SAID):
        DOORS["mlflow.pyfunc.spark_udf"](rows)
