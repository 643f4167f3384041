"""Stock ``mlflow.pyfunc.spark_udf`` over models logged here, with no other argument: every task and kind of column."""

from __future__ import annotations

import json
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import udfs.pyfunc
from engine.schema import SCHEMAS, ddl, schema_of
from tests import artifacts, chats, conformance, recordings, tiny
from tests.conformance import base
from tests.spark import plain

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

pytestmark = [
    pytest.mark.spark,
    pytest.mark.filterwarnings("ignore:In Python 3.6.* it is preferred to specify type hints:UserWarning"),
]

TASKS = sorted(SCHEMAS.keys() - {"text-to-audio"})
#: Of the samples of a task: a null, texts of several lengths, the empty one, one that stands there twice.
ROWS = [0, 3, 4, -4, -1, 4]


@pytest.fixture(scope="module")
def contracts() -> dict[str, type[base.TaskConformance]]:
    """What the contract of each task saves and scores."""
    for path in Path(conformance.__path__[0]).glob("test_*.py"):
        import_module(f"tests.conformance.{path.stem}")
    found: dict[str, type[base.TaskConformance]] = {}
    for one in _subclasses(base.TaskConformance):
        found.setdefault(getattr(one, "task", ""), one)
    return found


def _subclasses(of: type) -> list[type]:
    direct = of.__subclasses__()
    return [*direct, *(deeper for one in direct for deeper in _subclasses(one))]


def scored(df: DataFrame, artifact: str, *columns: Any) -> list[dict[str, Any]]:
    """The structs that stock ``spark_udf`` gives, in the order of ``id``."""
    import mlflow

    score = mlflow.pyfunc.spark_udf(df.sparkSession, artifact)
    found = df.select("id", score(*columns).alias("s"))
    return [row["s"].asDict(recursive=True) for row in sorted(found.collect(), key=lambda row: row["id"])]


def stock(rows: Sequence[Any], task: str) -> list[Any]:
    return [artifacts.as_stock(row, schema_of(task).output) for row in rows]


@pytest.mark.parametrize("task", TASKS)
def test_every_task_as_the_engine_alone(
    spark: SparkSession, contracts: dict[str, type[base.TaskConformance]], tmp_path: Path, task: str
) -> None:
    contract, schema = contracts[task], schema_of(task)
    contract.save(tmp_path / "model")
    artifact = str(artifacts.write(tmp_path / "model", tmp_path / "artifact", task, config=contract.given))
    columns = {role: [values[at] for at in ROWS] for role, values in contract.columns.items()}
    expected = base.structs(base.score(contract.scorer(tmp_path / "model"), base.table(task, columns)))

    types = ", ".join(f"{role} {ddl(schema.role(role).type)}" for role in columns)
    rows = [(at, *values) for at, values in enumerate(zip(*columns.values(), strict=True))]
    df = spark.createDataFrame(rows, f"id INT, {types}").coalesce(1)
    found = scored(df, artifact, *columns)
    assert expected[0] is None
    assert sum(row is not None and row["error"] is None for row in expected) > 2
    wanted = stock(expected, task)
    for row in (*found, *wanted):
        row.pop("model", None)  # the artifact's name is another than the folder's
    base.assert_same(found, wanted)


def test_an_analyst_needs_the_registered_name_alone(spark: SparkSession, tmp_path: Path, cache_home: Path) -> None:
    """Pairs, and parameters of a row's own, in SQL."""
    import mlflow
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    labels = {0: "negative", 1: "positive"}
    folder = tiny.save(tmp_path / "model", seed=1, id2label=labels, label2id={v: k for k, v in labels.items()})
    parts = {
        "model": AutoModelForSequenceClassification.from_pretrained(folder),
        "tokenizer": AutoTokenizer.from_pretrained(folder),
    }
    experiment = mlflow.create_experiment("stock udf", artifact_location=(tmp_path / "artifacts").as_uri())
    with mlflow.start_run(experiment_id=experiment):
        udfs.pyfunc.log_model(parts, name="stock", task="text-classification", registered_model_name="stock")
    mlflow.MlflowClient().set_registered_model_alias("stock", "champion", "1")

    spark.udf.register("stock", mlflow.pyfunc.spark_udf(spark, "models:/stock@champion"))
    rows: list[Any] = [(0, "a good day", "now", 1), (1, None, "now", 1), (2, "they were not there", None, None)]
    df = spark.createDataFrame(rows, "id INT, body STRING, title STRING, k INT").coalesce(1)
    df.createOrReplaceTempView("stock_reviews")
    by_name = "stock(named_struct('text', body, 'text_pair', title, 'top_k', k))"
    query = f"SELECT s.label, s.score, s.scores, s.error FROM (SELECT id, {by_name} s FROM stock_reviews) ORDER BY id"
    first, null, last = spark.sql(query).collect()
    assert null.asDict(recursive=True) == {
        **dict.fromkeys(("label", "score")),
        "scores": [],
        "error": dict.fromkeys(("code", "message", "retryable")),
    }
    assert [len(row.scores) for row in (first, last)] == [1, 2]
    alone = spark.sql("SELECT stock(body).label AS label FROM stock_reviews ORDER BY id").collect()
    for row, by_place, (_, body, title, _) in ((first, alone[0], rows[0]), (last, alone[2], rows[2])):
        pair, text = plain.scores(folder, body, title), plain.scores(folder, body)
        assert (row.label, by_place.label) == (max(pair, key=pair.__getitem__), max(text, key=text.__getitem__))
        assert row.score == pytest.approx(max(pair.values()), abs=1e-5)


TALKS: list[Any] = [
    (0, [("system", "be kind", None), ("user", "what can they do", "ann")], (3, 0.0, None), 6),
    (1, None, (3, None, None), None),
    (2, [("wizard", "go", None)], None, None),
    (3, [], (None, 0.7, ["e"]), 2),
    (4, [("user", "so many people", None)], (None, 0.0, ["e"]), 5),
    (5, [("user", "so many people", None)], None, None),
]
TYPES = (
    "id INT, talk ARRAY<STRUCT<role: STRING, content: STRING, name: STRING>>, "
    "how STRUCT<max_tokens: BIGINT, temperature: DOUBLE, stop: ARRAY<STRING>>, most INT"
)


def test_chats_with_parameters_of_their_own(spark: SparkSession, tmp_path: Path) -> None:
    """As a struct beside the messages, by place and by name, and as a column of a parameter."""
    from pyspark.sql.functions import col, struct

    from udfs import score

    folder = chats.save(tmp_path / "model")
    artifact = str(artifacts.write(folder, tmp_path / "artifact", "llm/v1/chat", config={"max_tokens": 6}))
    df = spark.createDataFrame(TALKS, TYPES).coalesce(1)
    rows = score(
        df,
        model=str(folder),
        task="llm/v1/chat",
        dtype="float32",
        params={"max_tokens": 6},
        input={"messages": "talk", "params": "how"},
        output="s",
    ).collect()
    expected = stock([row["s"] and row["s"].asDict(recursive=True) for row in rows], "llm/v1/chat")
    codes = ["answered" if row["choices"] else row["error"]["code"] for row in expected]
    assert codes == ["answered", None, "template_refused", "invalid_messages", "answered", "answered"]
    by_place = scored(df, artifact, "talk", "how")
    by_name = scored(df, artifact, struct(col("talk").alias("messages"), col("how").alias("params")))
    for row in (*expected, *by_place, *by_name):
        row.pop("model")  # the artifact's name is another than the folder's
    base.assert_same(by_place, expected)
    base.assert_same(by_name, expected)

    found = scored(df, artifact, struct(col("talk").alias("messages"), col("most").alias("max_tokens")))
    assert [row["usage"]["completion_tokens"] for row in found[4:]] == [
        min(5, expected[5]["usage"]["completion_tokens"]),
        expected[5]["usage"]["completion_tokens"],
    ]


def test_messages_as_json(spark: SparkSession, tmp_path: Path) -> None:
    folder = chats.save(tmp_path / "model")
    params = {"max_tokens": 6, "strings": "json"}
    artifact = str(artifacts.write(folder, tmp_path / "artifact", "llm/v1/chat", config=params))
    talks = [chats.user("so many people"), None, {"messages": chats.user("go"), "n": 2}, "none"]
    rows = [(at, None if talk is None else json.dumps(talk)) for at, talk in enumerate(talks)]
    found = scored(spark.createDataFrame(rows, "id INT, talk STRING").coalesce(1), artifact, "talk")
    assert [len(row["choices"]) for row in found] == [1, 0, 2, 0]
    assert [row["error"]["code"] for row in found] == [None, None, None, "invalid_messages"]


def test_tables_as_rows_of_structs(spark: SparkSession, tmp_path: Path) -> None:
    from udfs import score

    folder = tiny.save_tapas(tmp_path / "model")
    artifact = artifacts.write(folder, tmp_path / "artifact", task="table-question-answering")
    cells = [[(2, "rome", 1.5), (None, "time", 2.0)], None, [], [(3, None, None)]]
    types = "id INT, question STRING, cells ARRAY<STRUCT<people: BIGINT, city: STRING, water: DOUBLE>>"
    df = spark.createDataFrame([(at, "how many people", cell) for at, cell in enumerate(cells)], types).coalesce(1)
    inputs = {"question": "question", "table": "cells"}
    rows = score(df, model=str(folder), task="table-question-answering", dtype="float32", input=inputs, output="s")
    expected = [row["s"] and row["s"].asDict(recursive=True) for row in rows.collect()]
    base.assert_same(scored(df, artifact, "question", "cells"), stock(expected, "table-question-answering"))


def test_lists_of_texts_and_recordings_that_are_none(
    spark: SparkSession, contracts: dict[str, type[base.TaskConformance]], tmp_path: Path
) -> None:
    folder = tiny.save(tmp_path / "model", head="")
    artifact = artifacts.write(folder, tmp_path / "artifact", task="llm/v1/embeddings")
    lists = [["a good day", "now"], None, [], ["now", None]]
    df = spark.createDataFrame(list(enumerate(lists)), "id INT, input ARRAY<STRING>").coalesce(1)
    found = scored(df, artifact, "input")
    assert [[one["index"] for one in row["data"]] for row in found] == [[0, 1], [], [], []]
    assert [row["error"]["code"] for row in found][:2] == [None, None]
    assert found[3]["error"]["code"] is not None
    assert found[0]["data"][1]["embedding"] == pytest.approx(plain.embedding(folder, "now"), abs=1e-5)

    contracts["audio-classification"].save(tmp_path / "audio")
    artifact = artifacts.write(tmp_path / "audio", tmp_path / "heard", task="audio-classification")
    clips = [b"no recording", None, recordings.wav(recordings.tone(0.4))]
    found = scored(spark.createDataFrame(list(enumerate(clips)), "id INT, audio BINARY").coalesce(1), artifact, "audio")
    assert [row["error"]["code"] for row in found] == ["invalid_audio", None, None]
    assert [len(row["scores"]) for row in found] == [0, 0, 3]
