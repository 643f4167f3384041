"""What can't go through MLflow's doors, and what is said of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest

from engine.errors import SchemaError
from tests import speech
from tests.conformance.base import assert_same, spoilt
from tests.golden.conftest import Goldens
from tests.golden.doors import DOORS
from udfs.pyfunc import save_model

pytestmark = pytest.mark.spark

#: The row whose text is not UTF-8.
BROKEN: Final = 1


def test_a_text_that_is_not_utf_8_costs_its_row_and_at_stock_spark_udf_the_query(
    golden: Goldens, tmp_path: Path
) -> None:
    from pyspark.errors import PySparkException

    model = golden("text-classification")
    few = model.rows.table.slice(0, 6)
    rows = replace(model.rows, table=spoilt(few, "text", [BROKEN]), folder=tmp_path)
    rows.write()
    for door in ("job", "udfs.score", "udfs.udf", "udfs.register", "udfs.pyfunc.load"):
        found = DOORS[door](rows)
        broken = found.pop(BROKEN)
        assert broken is not None
        assert broken["error"]["code"] == "invalid_text"
        assert_same(found, model.expected[:BROKEN] + model.expected[BROKEN + 1 : few.num_rows])
    with pytest.raises(PySparkException, match=r"UnicodeDecodeError|utf-?8"):
        DOORS["mlflow.pyfunc.spark_udf"](rows)


def test_sounds_go_through_our_doors_alone_and_logging_them_says_so(tmp_path: Path) -> None:
    folder = speech.save(tmp_path / "speech")
    with pytest.raises(SchemaError, match=r"stock spark_udf refuses binary results: score with a job, udfs\.score"):
        save_model(str(folder), str(tmp_path / "artifact"), task="text-to-audio")
