"""score(df, …): against plain transformers, and what becomes of the DataFrame's own columns, rows and partitions."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import pytest

from engine.errors import (
    ModelError,
    ModelNotFoundError,
    ParameterError,
    SchemaError,
    UnsafeModelError,
    UnsupportedTaskError,
)
from engine.options import Column, Compute
from engine.schema import ddl, schema_of
from engine.scorer import Scored
from tests import tiny
from tests.spark import plain
from udfs import score
from udfs.scoring import PreparedModel, prepare

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

pytestmark = pytest.mark.spark

BODIES = ["a good day", None, "", "they were not there", "a good day", "  ", "so many people " * 40, "😀 שלום", None]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A classifier that finds both labels among ``BODIES``."""
    return tiny.save(tmp_path_factory.mktemp("classifier"), seed=1)


@pytest.fixture(scope="module")
def model(spark: SparkSession, folder: Path) -> PreparedModel:
    return prepare(spark, str(folder), compute=Compute(dtype="float32"))


@pytest.fixture(scope="module")
def reviews(spark: SparkSession) -> DataFrame:
    return spark.createDataFrame([(i, body) for i, body in enumerate(BODIES)], "id INT, body STRING").repartition(
        3, "id"
    )


def test_scores_equal_plain_transformers(reviews: DataFrame, model: PreparedModel, folder: Path) -> None:
    scored = {row["id"]: row["s"] for row in score(reviews, model=model, input="body", output="s").collect()}
    assert sorted(scored) == list(range(len(BODIES)))
    for i, body in enumerate(BODIES):
        if body is None:
            assert scored[i] is None
            continue
        expected = plain.scores(folder, body)
        assert scored[i]["error"] is None
        assert scored[i]["label"] == max(expected, key=expected.__getitem__)
        assert {one["label"]: one["score"] for one in scored[i]["scores"]} == pytest.approx(expected, abs=1e-5)
        assert scored[i]["score"] == pytest.approx(max(expected.values()), abs=1e-5)
    assert [i for i, row in scored.items() if row and row["truncated"]] == [6]
    assert len({row["label"] for row in scored.values() if row}) == 2


def test_embeddings_equal_plain_transformers(reviews: DataFrame, folder: Path) -> None:
    scored = score(reviews, model=str(folder), task="embeddings", input="body", output="e", dtype="float32")
    for row in scored.collect():
        if BODIES[row["id"]] is None:
            assert row["e"] is None
        else:
            assert row["e"]["embedding"] == pytest.approx(plain.embedding(folder, row["body"]), abs=1e-5)


def test_pairs_equal_plain_transformers(spark: SparkSession, model: PreparedModel, folder: Path) -> None:
    pairs = [("a good day", "they were not there"), ("a good day", "now"), ("a good day", None), (None, "now")]
    df = spark.createDataFrame(pairs, "one STRING, two STRING")
    scored = score(df, model=model, input={"text": "one", "text_pair": "two"}, output="s").collect()
    for row, (one, two) in zip(scored, pairs, strict=True):
        if one is None:
            assert row["s"] is None
        else:
            found = {label["label"]: label["score"] for label in row["s"]["scores"]}
            assert found == pytest.approx(plain.scores(folder, one, two), abs=1e-5)
    assert len({row["s"]["score"] for row in scored[:3]}) == 3


def test_columns_order_and_partitions_are_kept(spark: SparkSession, model: PreparedModel) -> None:
    from pyspark.sql import functions as f
    from pyspark.sql.types import DataType

    df = spark.range(40, numPartitions=4).selectExpr(
        "id",
        "array('the', 'people') words",
        "named_struct('a', id, 'b', timestamp'2026-01-02 03:04:05') nested",
        "CAST(NULL AS DECIMAL(10, 2)) price",
        "CAST(id AS STRING) body",
        "id again",
        "-id again",
        "-id `with.dot`",
    )
    scored = score(df, model=model, input="body", output="s")
    assert scored.columns == [*df.columns, "s"]
    assert scored.drop("s").schema == df.schema
    assert scored.schema["s"].dataType == DataType.fromDDL(ddl(schema_of("text-classification").output))
    where = f.spark_partition_id().alias("partition")
    assert [tuple(row) for row in scored.drop("s").select("*", where).collect()] == [
        tuple(row) for row in df.select("*", where).collect()
    ]


def test_an_input_may_have_a_dot_in_its_name(reviews: DataFrame, model: PreparedModel) -> None:
    dotted = score(reviews.withColumnRenamed("body", "review.body"), model=model, input="review.body", output="s")
    assert [row["s"] for row in dotted.collect()] == [
        row["s"] for row in score(reviews, model=model, input="body", output="s").collect()
    ]


def test_no_row_gives_no_row(reviews: DataFrame, model: PreparedModel) -> None:
    scored = score(reviews.where("id < 0"), model=model, input="body", output="s", stats="cost")
    assert scored.columns == ["id", "body", "s", "cost"]
    assert scored.collect() == []


def test_stats_count_every_row_once(spark: SparkSession, model: PreparedModel, folder: Path) -> None:
    df = spark.createDataFrame([(body,) for body in BODIES], "body STRING").coalesce(1)
    small = replace(model, compute=replace(model.compute, window_rows=4))
    rows = score(df, model=small, input="body", output="s", stats="cost").collect()
    cost = [row["cost"] for row in rows]
    assert [i for i, stats in enumerate(cost) if stats] == [0, 4, 8]  # the first row of each window
    counts = [(stats["rows"], stats["nulls"], stats["duplicates"], stats["failed"]) for stats in cost if stats]
    assert counts == [(4, 1, 0, 0), (4, 0, 0, 0), (1, 1, 0, 0)]
    assert sum(stats["tokens"] for stats in cost if stats) == sum(row["s"]["tokens"] for row in rows if row["s"])


def test_the_last_window_of_a_partition_tells_what_it_took(spark: SparkSession, model: PreparedModel) -> None:
    df = spark.createDataFrame([(body,) for body in BODIES], "body STRING").coalesce(1)
    small = replace(model, compute=replace(model.compute, window_rows=4))
    rows = score(df, model=small, input="body", output="s", stats="cost", took="took").collect()
    assert [row["body"] for row in rows] == BODIES
    (at,) = [at for at, row in enumerate(rows) if row["took"] is not None]
    busy = sum(row["cost"]["forward_s"] + row["cost"]["decode_s"] for row in rows if row["cost"])
    assert at == 8  # the first row of the last window
    assert rows[at]["took"] >= busy


def test_a_parameter_may_come_from_a_column(spark: SparkSession, folder: Path) -> None:
    rows = [("a good day", 1), ("a good day", 2), ("a good day", None), ("a good day", 0), (None, 1)]
    df = spark.createDataFrame(rows, "body STRING, k INT")
    scored = score(df, model=str(folder), input="body", output="s", params={"top_k": Column("k")}, dtype="float32")
    found = [row["s"] for row in scored.collect()]
    assert [len(row["scores"]) for row in found[:3]] == [1, 2, 2]
    assert found[3]["error"]["code"] == "invalid_parameter"
    assert found[3]["label"] is None
    assert found[4] is None


@pytest.fixture
def no_job(spark: SparkSession, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Fails where the test starts a Spark job; hardware is probed anew, which would be one."""
    monkeypatch.setattr("udfs.hardware._KNOWN", WeakKeyDictionary())
    group = f"no job {os.urandom(4).hex()}"
    spark.sparkContext.setJobGroup(group, "")
    yield
    assert list(spark.sparkContext.statusTracker().getJobIdsForGroup(group)) == []
    spark.sparkContext.setLocalProperty("spark.jobGroup.id", None)


@pytest.mark.usefixtures("no_job")
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"input": "text"}, "expected columns text; the table has id, body"),
        ({"input": "id"}, r"expected column id \(input text of text-classification\) to be STRING, it is INT"),
        ({"input": {"txt": "body"}}, "expected inputs named text, text_pair, got 'txt'"),
        ({"input": {"text_pair": "body"}}, "needs the inputs text"),
        ({"input": "twice"}, "expected one column twice, the table has several: rename the others"),
        ({"input": "body", "output": "BODY"}, "the table already has a column BODY: choose another name"),
        ({"input": "body", "stats": "id"}, "the table already has a column id"),
    ],
)
def test_wrong_columns_are_refused_on_the_driver(
    reviews: DataFrame, model: PreparedModel, arguments: dict[str, Any], message: str
) -> None:
    df = reviews.selectExpr("*", "body twice", "body twice") if arguments["input"] == "twice" else reviews
    with pytest.raises(SchemaError, match=message):
        score(df, model=model, **{"output": "s", **arguments})


@pytest.mark.usefixtures("no_job")
def test_a_parameter_column_that_is_not_there_is_refused(reviews: DataFrame, model: PreparedModel) -> None:
    by_row = replace(model, params={"top_k": Column("k")})
    with pytest.raises(SchemaError, match="expected columns k; the table has id, body"):
        score(reviews, model=by_row, input="body", output="s")


@pytest.mark.usefixtures("no_job")
def test_models_that_cant_work_are_refused_on_the_driver(
    reviews: DataFrame, folder: Path, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    encoder = tiny.save(tmp_path_factory.mktemp("encoder"), head="")
    pickled = tiny.save(tmp_path_factory.mktemp("pickled"))
    (pickled / "model.safetensors").rename(pickled / "pytorch_model.bin")
    empty = tiny.save(tmp_path_factory.mktemp("empty"))
    (empty / "model.safetensors").unlink()
    for wrong, error, options in (
        (tmp_path / "none", ModelNotFoundError, {}),
        (encoder, UnsupportedTaskError, {"task": "text-classification"}),
        (folder, UnsupportedTaskError, {"task": "astrology"}),
        (pickled, UnsafeModelError, {}),
        (empty, ModelError, {}),
        (folder, ParameterError, {"params": {"topk": 1}}),
        (folder, ParameterError, {"dtype": "int3"}),
    ):
        with pytest.raises(error):
            score(reviews, model=str(wrong), input="body", output="s", **options)


def test_a_worker_that_dies_between_windows_loses_no_row(
    spark: SparkSession, model: PreparedModel, tmp_path: Path
) -> None:
    marker = tmp_path / "died"

    def die_once(windows: Iterator[Scored]) -> Iterator[Scored]:
        for i, window in enumerate(windows):
            if i == 2 and not marker.exists():
                marker.touch()
                os._exit(9)
            yield window

    small = replace(model, compute=replace(model.compute, window_rows=25))
    df = spark.range(200, numPartitions=2).selectExpr("id", "CONCAT('number ', id) body")
    dying = score(df, model=plain.watched(small, die_once), input="body", output="s").collect()
    assert marker.exists()
    assert [row["id"] for row in dying] == list(range(200))
    assert dying == score(df, model=small, input="body", output="s").collect()
