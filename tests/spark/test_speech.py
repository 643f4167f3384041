"""A table of texts becomes a table of sounds."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from tests import speech
from tests.spark.job import rows
from udfs import score

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = pytest.mark.spark

BODIES = ["a good day", None, "now", "they were not there", "", "now"]


def test_texts_sound_as_plain_transformers_makes_them(spark: SparkSession, tmp_path: Path) -> None:
    import transformers

    folder = speech.save(tmp_path / "speech")
    scored = score(rows(spark, BODIES), model=str(folder), input="body", output="s")
    plain = transformers.pipeline("text-to-audio", model=str(folder), device="cpu")
    found = [row["s"] for row in sorted(scored.collect(), key=lambda row: row["id"])]
    assert found[1] is None
    assert found[4]["error"]["code"] == "encode_failed"
    for body, row in zip(BODIES, found, strict=True):
        if body:
            expected = plain(body)
            assert (row["error"], row["sampling_rate"]) == (None, expected["sampling_rate"])
            np.testing.assert_allclose(speech.samples(bytes(row["audio"])), expected["audio"], atol=1e-4)
