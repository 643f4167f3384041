"""A source that changed between two runs stops the second with a sentence; its rows are never skipped silently."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from jobs.errors import SourceChangedError
from jobs.runner import run
from tests.faults import fault
from tests.spark.job import add, define, ids, rows

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = pytest.mark.spark

UPDATED = "rows of the source were updated, or it was overwritten"


@fault(
    "rows of the source are updated, deleted, merged or overwritten between two runs",
    of="the source",
    seen="the run is stopped, each time: what happened to the source",
    left="run the job under another name into another sink, or write `changes: rescore`",
)
@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("UPDATE {source} SET body = 'other' WHERE id = 1", UPDATED),
        ("DELETE FROM {source} WHERE id = 1", UPDATED),
        ("DELETE FROM {source}", "rows of the source were deleted"),
        ("INSERT OVERWRITE {source} VALUES (7, 'p', 'now')", UPDATED),
        ("MERGE INTO {source} t USING (SELECT 1 AS id) s ON t.id = s.id WHEN MATCHED THEN DELETE", UPDATED),
    ],
    ids=["update", "delete", "delete all", "overwrite", "merge"],
)
def test_changed_rows_of_a_delta_source_stop_the_run(
    spark: SparkSession, sentiment: Path, tmp_path: Path, change: str, said: str
) -> None:
    definition = define(tmp_path, sentiment)
    add(spark, tmp_path, ["one", "two", "three"])
    run(definition, spark=spark)
    spark.sql(change.format(source=f"delta.`{tmp_path}/source`"))
    for _ in range(2):  # and stays stopped
        with pytest.raises(SourceChangedError, match=f"{tmp_path}/source: {said} since the last run") as caught:
            run(definition, spark=spark)
    assert "run the job under another name into another sink" in str(caught.value)
    assert ids(spark, tmp_path) == [0, 1, 2]


@fault(
    "the source is replaced by another table at its path",
    of="the source",
    seen="the run is stopped: it is another table than at the last run",
    left="run the job under another name into another sink",
)
def test_another_table_at_the_same_path_stops_the_run(spark: SparkSession, sentiment: Path, tmp_path: Path) -> None:
    definition = define(tmp_path, sentiment)
    add(spark, tmp_path, ["one"])
    run(definition, spark=spark)
    (tmp_path / "source").rename(tmp_path / "before")
    add(spark, tmp_path, ["four"], first=4)
    with pytest.raises(SourceChangedError, match="the source is another table than at the last run"):
        run(definition, spark=spark)


@fault(
    "OPTIMIZE of the source between two runs",
    of="the source",
    seen="nothing",
    left="nothing",
)
def test_compaction_is_no_change(spark: SparkSession, sentiment: Path, tmp_path: Path) -> None:
    definition = define(tmp_path, sentiment)
    for first in range(3):
        add(spark, tmp_path, ["one"], first=first)
    run(definition, spark=spark)
    spark.sql(f"OPTIMIZE delta.`{tmp_path}/source`")
    add(spark, tmp_path, ["four"], first=3)
    assert run(definition, spark=spark).rows == 1
    assert ids(spark, tmp_path) == [0, 1, 2, 3]


@fault(
    "columns of the source are added, dropped or renamed (ALTER TABLE)",
    of="the source",
    seen="the run is stopped: which columns are new, gone or of another type",
    left="if it is meant, run once with `--accept-schema`",
)
@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("ADD COLUMN lang STRING", "lang string is new"),
        ("DROP COLUMN product", "product string is gone"),
        ("RENAME COLUMN product TO kind", "kind string is new; product string is gone"),
    ],
    ids=["added", "dropped", "renamed"],
)
def test_changed_columns_stop_the_run(
    spark: SparkSession, sentiment: Path, tmp_path: Path, change: str, said: str
) -> None:
    definition = define(tmp_path, sentiment, sink={"keep": []})
    table = rows(spark, ["one", "two"]).write.format("delta").option("delta.columnMapping.mode", "name")
    table.save(f"{tmp_path}/source")
    run(definition, spark=spark)
    spark.sql(f"ALTER TABLE delta.`{tmp_path}/source` {change}")
    with pytest.raises(SourceChangedError, match=f"changed since the last run: {said}.*--accept-schema"):
        run(definition, spark=spark)
    assert ids(spark, tmp_path) == [0, 1]


def test_an_added_column_can_be_accepted_once(spark: SparkSession, sentiment: Path, tmp_path: Path) -> None:
    definition = define(tmp_path, sentiment)
    add(spark, tmp_path, ["one", "two"])
    run(definition, spark=spark)
    spark.sql(f"ALTER TABLE delta.`{tmp_path}/source` ADD COLUMN lang STRING")
    assert run(definition, spark=spark, accept_schema=True).rows == 0
    add(spark, tmp_path, ["three"], first=2)
    assert run(definition, spark=spark).rows == 1
    assert ids(spark, tmp_path) == [0, 1, 2]


@fault(
    "files of the source are gone or written over",
    of="the source",
    seen="the run is stopped: which files",
    left="run the job under another name into another sink",
)
@pytest.mark.parametrize("change", ["gone", "written over"])
def test_changed_files_stop_the_run(spark: SparkSession, sentiment: Path, tmp_path: Path, change: str) -> None:
    import os

    schema = "id INT, product STRING, body STRING"
    definition = define(tmp_path, sentiment, source={"format": "json", "schema": schema})
    (tmp_path / "source").mkdir()
    for i in range(2):
        (tmp_path / "source" / f"{i}.json").write_text(f'{{"id": {i}, "body": "text"}}\n')
    run(definition, spark=spark)
    file = tmp_path / "source" / "1.json"
    if change == "gone":
        file.unlink()
    else:
        file.write_text('{"id": 1, "body": "another"}\n{"id": 2, "body": "new"}\n')
        os.utime(file, (0, file.stat().st_mtime + 5))
    with pytest.raises(SourceChangedError, match=r"files of .* are gone or were written over: 1\.json"):
        run(definition, spark=spark)
    assert ids(spark, tmp_path) == [0, 1]


def test_a_file_older_than_those_scored_is_not_left_out(spark: SparkSession, sentiment: Path, tmp_path: Path) -> None:
    """Spark's file source ignores files a week older than the newest it saw, unless it is told otherwise."""
    import os

    schema = "id INT, product STRING, body STRING"
    definition = define(tmp_path, sentiment, source={"format": "json", "schema": schema})
    (tmp_path / "source").mkdir()
    for i, age in enumerate((0, 30 * 86400)):
        file = tmp_path / "source" / f"{i}.json"
        file.write_text(f'{{"id": {i}, "body": "text"}}\n')
        os.utime(file, (0, file.stat().st_mtime - age))
        assert run(definition, spark=spark).rows == 1
    assert ids(spark, tmp_path) == [0, 1]
