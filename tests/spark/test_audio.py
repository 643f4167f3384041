"""Tables of recordings: files as rows, and what the driver tells the workers of object stores."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from engine.audio.storage import Bucket, Storage
from jobs.runner import run
from jobs.tables import read_source
from tests.recordings import tone, wav
from tests.spark.job import define
from udfs.storage import storage_of

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = pytest.mark.spark


def test_files_are_rows(spark: SparkSession, sentiment: Path, tmp_path: Path) -> None:
    files = tmp_path / "source"
    files.mkdir()
    for name in ("a.wav", "b c+50%25.wav", "notes.txt"):
        (files / name).write_bytes(wav(tone(0.1)))
    source = {
        "format": "binaryFile",
        "key": ["path"],
        "inputs": {"text": "path"},
        "options": {"pathGlobFilter": "*.wav"},
    }
    definition = define(tmp_path, sentiment, source=source, sink={"keep": ["length"]})
    whole = {row["path"]: bytes(row["content"]) for row in read_source(spark, definition).collect()}
    assert whole == {f"file:{files}/{name}": (files / name).read_bytes() for name in ("a.wav", "b c+50%25.wav")}
    assert run(definition, spark=spark).rows == 2
    (files / "d.wav").write_bytes(wav(tone(0.2)))
    assert run(definition, spark=spark).rows == 1
    scored = spark.read.format("delta").load(f"{tmp_path}/sink").orderBy("path").collect()
    names = ["a.wav", "b c+50%25.wav", "d.wav"]
    assert [(row["path"], row["length"]) for row in scored] == [
        (f"file:{files}/{name}", (files / name).stat().st_size) for name in names
    ]
    assert {row["sentiment"]["error"] for row in scored} == {None}


def test_hadoop_says_how_a_bucket_is_reached(spark: SparkSession) -> None:
    settings = {
        "fs.s3a.endpoint": "http://store:9000",
        "fs.s3a.path.style.access": "true",
        "fs.s3a.access.key": "id",
        "fs.s3a.bucket.calls.secret.key": "word",
    }
    for name, value in settings.items():
        spark.conf.set(name, value)
    try:
        assert storage_of(spark, ("s3a://calls/2026",)) == Storage(
            (Bucket(name="calls", endpoint="http://store:9000", access_key="id", secret_key="word", path_style=True),)
        )
    finally:
        for name in settings:
            spark.conf.unset(name)
