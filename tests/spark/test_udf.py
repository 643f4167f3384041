"""Column expressions and SQL functions: the same results as score, evaluated once a row."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from engine.errors import ParameterError
from engine.options import Column, Compute
from tests import tiny
from tests.spark import plain
from udfs import register, score, udf
from udfs.scoring import PreparedModel, prepare

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

pytestmark = pytest.mark.spark

ROWS = [
    (0, "a good day", "now"),
    (1, None, "now"),
    (2, "", ""),
    (3, "they were not there", None),
    (4, "a good day", "now"),
    (5, "😀 שלום", "said the people"),
    (6, "so many people " * 40, "now"),
]
Door = Callable[["SparkSession", "DataFrame", PreparedModel, Sequence[str]], "DataFrame"]


def by_arrow(spark: SparkSession, df: DataFrame, model: PreparedModel, inputs: Sequence[str]) -> DataFrame:
    return df.select("id", udf(spark, model, kind="arrow")(*inputs).alias("s"))


def by_pandas(spark: SparkSession, df: DataFrame, model: PreparedModel, inputs: Sequence[str]) -> DataFrame:
    return df.select("id", udf(spark, model, kind="pandas")(*inputs).alias("s"))


def by_sql(spark: SparkSession, df: DataFrame, model: PreparedModel, inputs: Sequence[str]) -> DataFrame:
    register(spark, "says", model)
    df.createOrReplaceTempView("rows")
    return spark.sql(f"SELECT id, says({', '.join(inputs)}) AS s FROM rows")


def by_sql_with_pandas(spark: SparkSession, df: DataFrame, model: PreparedModel, inputs: Sequence[str]) -> DataFrame:
    register(spark, "says_pandas", model, kind="pandas")
    df.createOrReplaceTempView("rows")
    return spark.sql(f"SELECT id, says_pandas({', '.join(inputs)}) AS s FROM rows")


@pytest.fixture(scope="module")
def df(spark: SparkSession) -> DataFrame:
    return spark.createDataFrame(ROWS, "id INT, body STRING, title STRING").coalesce(1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A classifier that finds both labels among ``ROWS``."""
    labels = {0: "negative", 1: "positive"}
    made = tmp_path_factory.mktemp("classifier")
    return tiny.save(made, seed=1, id2label=labels, label2id={v: k for k, v in labels.items()})


@pytest.fixture(scope="module", params=["text-classification", "embeddings"])
def model(request: pytest.FixtureRequest, spark: SparkSession, folder: Path) -> PreparedModel:
    return prepare(spark, str(folder), task=request.param, compute=Compute(dtype="float32"))


@pytest.fixture(scope="module")
def classifier(spark: SparkSession, folder: Path) -> PreparedModel:
    return prepare(spark, str(folder), compute=Compute(dtype="float32"))


def structs(scored: DataFrame) -> list[dict[str, Any] | None]:
    rows = sorted(scored.collect(), key=lambda row: row["id"])
    assert [row["id"] for row in rows] == [row[0] for row in ROWS]
    return [row["s"] and row["s"].asDict(recursive=True) for row in rows]


@pytest.mark.parametrize(
    "door",
    [by_arrow, by_sql, *(pytest.param(door, marks=pytest.mark.oldest) for door in (by_pandas, by_sql_with_pandas))],
)
def test_every_door_gives_what_score_gives(
    spark: SparkSession, df: DataFrame, model: PreparedModel, door: Door
) -> None:
    expected = structs(score(df, model=model, input="body", output="s"))
    found = structs(door(spark, df, model, ["body"]))
    if "pandas" in door.__name__:  # which can't return a null struct
        assert found.pop(1) == dict.fromkeys(expected[0] or {})
        assert expected.pop(1) is None
    assert found == expected


@pytest.mark.parametrize("door", [by_arrow, by_pandas, by_sql])
def test_pairs_through_every_door(spark: SparkSession, df: DataFrame, classifier: PreparedModel, door: Door) -> None:
    pairs = {"text": "body", "text_pair": "title"}
    expected = structs(score(df, model=classifier, input=pairs, output="s"))
    found = structs(door(spark, df, classifier, ["body", "title"]))
    assert [row for i, row in enumerate(found) if i != 1] == [row for i, row in enumerate(expected) if i != 1]
    assert found[0] != structs(door(spark, df, classifier, ["body"]))[0]


def test_a_udf_equals_plain_transformers(spark: SparkSession, df: DataFrame, folder: Path) -> None:
    found = structs(df.select("id", udf(spark, str(folder), dtype="float32")("body").alias("s")))
    for (_, body, _), row in zip(ROWS, found, strict=True):
        if body is not None:
            assert row is not None
            scores = {one["label"]: one["score"] for one in row["scores"]}
            assert scores == pytest.approx(plain.scores(folder, body), abs=1e-5)


LISTS = [["a good day", None, "so many"], None, [], ["they"], [None], ["a good day", None, "so many"], ["now"]]


@pytest.mark.parametrize(
    ("task", "column"), [("list-embeddings", "texts"), ("llm/v1/embeddings", "full"), ("llm/v1/embeddings", "body")]
)
def test_lists_of_texts_through_every_door(spark: SparkSession, folder: Path, task: str, column: str) -> None:
    full = [[text for text in texts if text] if texts is not None else None for texts in LISTS]
    rows = [(*row, *lists) for row, *lists in zip(ROWS, LISTS, full, strict=True)]
    types = "id INT, body STRING, title STRING, texts ARRAY<STRING>, full ARRAY<STRING>"
    df = spark.createDataFrame(rows, types).coalesce(1)
    model = prepare(spark, str(folder), task=task, compute=Compute(dtype="float32"))
    expected = structs(score(df, model=model, input=column, output="s"))
    assert [row is None for row in expected] == [i == 1 for i in range(len(ROWS))]
    assert all(row["error"] is None for row in expected if row)
    for door in (by_arrow, by_pandas):
        found = structs(door(spark, df, model, [column]))
        if door is by_pandas:  # which can't return a null struct
            found[1] = None
        assert found == expected


@pytest.mark.parametrize(
    ("type_", "cells"),
    [
        (
            "ARRAY<STRUCT<people: BIGINT, city: STRING, water: DOUBLE>>",
            [[(2, "rome", 1.5), (None, "time", 2.0)], None, [], [(3, None, None)]],
        ),
        ("ARRAY<MAP<STRING, STRING>>", [[{"b": "rome", "a": "1"}, {"c": "2"}], None, [], [{"day": "now"}]]),
        ("STRING", ['[{"b": "rome", "a": 1}]', None, "[]", "no table"]),
    ],
)
def test_tables_through_every_door(spark: SparkSession, tmp_path: Path, type_: str, cells: list[Any]) -> None:
    model = prepare(spark, str(tiny.save_tapas(tmp_path)), compute=Compute(dtype="float32"))
    rows = [(i, "how many people", cell) for i, cell in enumerate(cells)]
    df = spark.createDataFrame(rows, f"id INT, question STRING, cells {type_}").coalesce(1)
    inputs = {"question": "question", "table": "cells"}
    expected = score(df, model=model, input=inputs, output="s").orderBy("id").collect()
    assert expected[0]["s"]["cells"]
    assert [bool(row["s"] and row["s"]["error"]) for row in expected] == [False, False, True, type_ == "STRING"]
    for door in (by_arrow, by_pandas):
        found = door(spark, df, model, ["question", "cells"]).orderBy("id").collect()
        assert [row["s"] for row in found if row["id"] != 1] == [row["s"] for row in expected if row["id"] != 1]


@pytest.mark.parametrize("kind", ["arrow", "pandas"])
def test_no_error_code_means_success_with_both_kinds(
    spark: SparkSession, df: DataFrame, classifier: PreparedModel, kind: str
) -> None:
    register(spark, "either", classifier, kind=kind)
    df.createOrReplaceTempView("rows")
    found = spark.sql("SELECT s.error.code FROM (SELECT either(body) s FROM rows)").collect()
    assert [row["code"] for row in found] == [None] * len(ROWS)


def test_bytes_that_are_no_text_cost_their_row_in_an_arrow_udf(
    spark: SparkSession, df: DataFrame, classifier: PreparedModel
) -> None:
    broken = df.selectExpr("id", "IF(id = 3, CAST(X'C328' AS STRING), body) body")
    found = structs(broken.select("id", udf(spark, classifier, kind="arrow")("body").alias("s")))
    assert [row["error"]["code"] if row and row["error"] else None for row in found] == [
        *(None, None, None, "invalid_text", None, None, None)
    ]


@pytest.mark.oldest
def test_where_spark_has_no_arrow_udfs_they_are_refused_and_pandas_ones_made(
    spark: SparkSession, classifier: PreparedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr("pyspark.sql.functions.arrow_udf", raising=False)
    with pytest.raises(ParameterError, match=r"Arrow UDFs need Spark 4\.1 or later: take kind='pandas'"):
        udf(spark, classifier, kind="arrow")
    assert udf(spark, classifier).evalType == udf(spark, classifier, kind="pandas").evalType


def test_what_a_udf_cant_take_is_refused(spark: SparkSession, folder: Path) -> None:
    with pytest.raises(ParameterError, match=r"expected top_k to be a value for all calls, got a column"):
        udf(spark, str(folder), params={"top_k": Column("k")})
    with pytest.raises(ParameterError, match="expected kind to be arrow or pandas, got 'scalar'"):
        udf(spark, str(folder), kind="scalar")  # type: ignore[arg-type]


def test_more_columns_than_the_task_has_inputs_are_refused(
    spark: SparkSession, df: DataFrame, classifier: PreparedModel
) -> None:
    from pyspark.errors import PythonException

    with pytest.raises(PythonException, match=r"expected \(text, \[text_pair\]\), .* got 3 columns"):
        df.select(udf(spark, classifier)("body", "title", "body")).collect()
