"""Functions in SQL: each row scored once in six shapes of query, named arguments, and what needs deterministic ones."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from engine.options import Compute
from engine.scorer import Scored
from tests import chats, tiny
from tests.spark import plain
from udfs import register, score, udf
from udfs.scoring import PreparedModel, prepare

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

pytestmark = pytest.mark.spark

TEXTS: Final = ["a good day", None, "they were not there", "so many people", "no", "what they can do", "the water"]
LABELS: Final = {0: "negative", 1: "positive"}


class Calls:
    """How many rows a model was asked for, in whatever worker."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def watch(self, model: PreparedModel) -> PreparedModel:
        """The model, which tells of each of its rows."""
        file = self.file

        def count(windows: Iterator[Scored]) -> Iterator[Scored]:
            for window in windows:
                with file.open("a") as told:
                    told.write("x" * window.batch.num_rows)
                yield window

        return plain.watched(model, count)

    def since(self) -> int:
        """Rows since this was asked last."""
        rows = self.file.stat().st_size if self.file.exists() else 0
        self.file.unlink(missing_ok=True)
        return rows


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A classifier that finds both labels among ``TEXTS``."""
    ids = {name: number for number, name in LABELS.items()}
    return tiny.save(tmp_path_factory.mktemp("classifier"), seed=1, id2label=LABELS, label2id=ids)


@pytest.fixture(scope="module")
def model(spark: SparkSession, folder: Path) -> PreparedModel:
    return prepare(spark, str(folder), compute=Compute(dtype="float32"))


@pytest.fixture(scope="module")
def calls(spark: SparkSession, model: PreparedModel, tmp_path_factory: pytest.TempPathFactory) -> Calls:
    """``counted`` and ``certain`` are SQL functions, the second deterministic."""
    made = Calls(tmp_path_factory.mktemp("calls") / "rows")
    register(spark, "counted", made.watch(model))
    register(spark, "certain", made.watch(model), deterministic=True)
    return made


@pytest.fixture(scope="module")
def path(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Of a Delta table: id, body. In one file, since each partition of each call takes a worker that loads torch."""
    made = str(tmp_path_factory.mktemp("tables") / "reviews")
    rows = spark.createDataFrame(list(enumerate(TEXTS)), "id INT, body STRING").coalesce(1)
    rows.write.format("delta").save(made)
    return made


@pytest.fixture(scope="module")
def reviews(spark: SparkSession, path: str) -> DataFrame:
    """The table, as the view ``reviews``, and ``products`` with one row for each of its rows."""
    made = spark.read.format("delta").load(path)
    made.createOrReplaceTempView("reviews")
    made.selectExpr("id", "concat('p', id) AS product").createOrReplaceTempView("products")
    return made


@pytest.fixture(scope="module")
def scores(reviews: DataFrame, model: PreparedModel) -> dict[int, Any]:
    """What ``score`` gives, by id."""
    return {row["id"]: row["s"] for row in score(reviews, model=model, input="body", output="s").collect()}


@pytest.fixture(autouse=True)
def _counted_anew(calls: Calls, reviews: DataFrame, scores: dict[int, Any]) -> None:
    calls.since()


def target(spark: SparkSession, folder: Path) -> str:
    """A Delta table with labels that nobody gave, for all rows but the last."""
    rows = [(at, body, "unknown") for at, body in enumerate(TEXTS[:-1])]
    spark.createDataFrame(rows, "id INT, body STRING, label STRING").coalesce(1).write.format("delta").save(
        f"{folder}/target"
    )
    return f"delta.`{folder}/target`"


def labels(scores: dict[int, Any]) -> dict[int, str | None]:
    return {at: row and row["label"] for at, row in scores.items()}


def positive(scores: dict[int, Any]) -> list[tuple[int, str, float]]:
    return [(at, row["label"], row["score"]) for at, row in scores.items() if row and row["label"] == "positive"]


SHAPES: Final = {
    "two fields": "SELECT id, counted(body).label, counted(body).score FROM reviews",
    "a subquery with a filter": "SELECT id, s.label, s.score FROM (SELECT id, counted(body) s FROM reviews) "
    "WHERE s.label = 'positive'",
    "the same call in SELECT, WHERE and ORDER BY": "SELECT id, counted(body).label, counted(body).score FROM reviews "
    "WHERE counted(body).label = 'positive' ORDER BY counted(body).score",
    "a join": "SELECT r.id, s.label, s.score FROM (SELECT id, counted(body) s FROM reviews) r "
    "JOIN products USING (id) WHERE s.label = 'positive' AND product <> 'p0'",
    "a view": "SELECT id, s.label, s.score FROM scored WHERE s.score > 0 ORDER BY s.score",
}


@pytest.mark.parametrize("shape", SHAPES)
def test_a_row_is_scored_once(spark: SparkSession, calls: Calls, scores: dict[int, Any], shape: str) -> None:
    spark.sql("CREATE OR REPLACE TEMPORARY VIEW scored AS SELECT id, counted(body) AS s FROM reviews")
    found = [tuple(row) for row in spark.sql(SHAPES[shape]).collect()]
    expected = {
        "two fields": [(at, row and row["label"], row and row["score"]) for at, row in scores.items()],
        "a join": [row for row in positive(scores) if row[0] != 0],
        "a view": [(at, row["label"], row["score"]) for at, row in scores.items() if row],
    }
    assert sorted(found) == sorted(expected.get(shape, positive(scores)))
    if "ORDER BY" in SHAPES[shape]:
        assert found == sorted(found, key=lambda row: row[2])
    assert calls.since() == len(TEXTS)


def test_a_merge_scores_its_source_once(
    spark: SparkSession, calls: Calls, scores: dict[int, Any], tmp_path: Path
) -> None:
    table = target(spark, tmp_path)
    spark.sql(
        f"MERGE INTO {table} t USING (SELECT id, counted(body) s FROM reviews) r ON t.id = r.id "
        "WHEN MATCHED THEN UPDATE SET label = r.s.label WHEN NOT MATCHED THEN INSERT (id, label) VALUES (r.id, s.label)"
    )
    assert {row["id"]: row["label"] for row in spark.table(table).collect()} == labels(scores)
    assert calls.since() == len(TEXTS)


def test_a_deterministic_function_in_update_merge_and_join(
    spark: SparkSession, calls: Calls, scores: dict[int, Any], tmp_path: Path
) -> None:
    from pyspark.errors import AnalysisException

    table = target(spark, tmp_path)
    update = f"UPDATE {table} SET label = {{}}(body).label WHERE id = 0"
    condition = f"MERGE INTO {table} t USING reviews r ON t.id = r.id AND {{}}(r.body).label = 'positive' "
    condition += "WHEN MATCHED THEN UPDATE SET label = 'positive'"
    join = "SELECT r.id FROM reviews r JOIN (SELECT 'positive' AS label) l ON {}(r.body).label = l.label"
    for statement in (update, condition, join):
        with pytest.raises(AnalysisException):
            spark.sql(statement.format("counted")).collect()
    spark.sql(update.format("certain"))
    found = labels(scores)
    assert {row["id"]: row["label"] for row in spark.table(table).collect()}[0] == found[0]
    calls.since()
    assert sorted(row["id"] for row in spark.sql(join.format("certain")).collect()) == [r[0] for r in positive(scores)]
    assert calls.since() == len(TEXTS)
    spark.sql(condition.format("certain"))
    changed = {row["id"]: row["label"] for row in spark.table(table).collect()}
    assert {at for at, label in changed.items() if label == "positive"} == {
        at for at, label in found.items() if label == "positive" and at < len(TEXTS) - 1
    }
    assert calls.since() == len(TEXTS)


def test_a_stream_scores_what_comes(
    spark: SparkSession, calls: Calls, path: str, scores: dict[int, Any], tmp_path: Path
) -> None:
    spark.readStream.format("delta").load(path).createOrReplaceTempView("coming")
    labelled = spark.sql("SELECT id, s.label FROM (SELECT id, counted(body) s FROM coming) WHERE s.label IS NOT NULL")
    writer = labelled.writeStream.format("delta").option("checkpointLocation", f"{tmp_path}/checkpoint")
    writer.trigger(availableNow=True).start(f"{tmp_path}/labelled").awaitTermination()
    found = spark.read.format("delta").load(f"{tmp_path}/labelled").collect()
    assert {row["id"]: row["label"] for row in found} == {at: one for at, one in labels(scores).items() if one}
    assert calls.since() == len(TEXTS)


@pytest.mark.parametrize("kind", ["arrow", "pandas"])
def test_arguments_by_name(spark: SparkSession, reviews: DataFrame, model: PreparedModel, kind: Any) -> None:
    register(spark, "named", model, kind=kind)
    best = "CASE id % 3 WHEN 0 THEN 1 WHEN 1 THEN 2 END"  # null: what the function has for all calls
    query = f"SELECT id, named(body, top_k => {best}, text_pair => 'now') s FROM reviews ORDER BY id"
    found = {row["id"]: row["s"] for row in spark.sql(query).collect()}
    pairs = reviews.selectExpr("id", "body", "'now' AS title")
    both = score(pairs, model=model, input={"text": "body", "text_pair": "title"}, output="s")
    expected = {row["id"]: row["s"] for row in both.collect()}
    for at, row in expected.items():
        if row is not None:
            best = {one["label"]: one["score"] for one in row["scores"][: 1 if at % 3 == 0 else 2]}
            assert {one["label"]: one["score"] for one in found[at]["scores"]} == pytest.approx(best, abs=1e-5)


def test_calls_that_the_function_does_not_take_fail_the_query(spark: SparkSession, reviews: DataFrame) -> None:
    from pyspark.errors import PythonException

    expected = r"expected \(text, \[text_pair\]\), and by name \(name => value\) .*top_k.*, got bottom_k =>"
    with pytest.raises(PythonException, match=expected):
        spark.sql("SELECT counted(body, bottom_k => 1) FROM reviews").collect()
    with pytest.raises(PythonException, match=r"got no text"):
        spark.sql("SELECT counted(text_pair => body) FROM reviews").collect()


def test_a_needed_parameter_comes_with_the_call(spark: SparkSession, reviews: DataFrame, folder: Path) -> None:
    inference = {0: "contradiction", 1: "entailment"}
    ids = {name: number for number, name in inference.items()}
    made = str(tiny.save(folder.with_name("inference"), id2label=inference, label2id=ids))
    task = "zero-shot-classification"
    register(spark, "about", made, task=task, dtype="float32")
    query = "SELECT id, about(body, candidate_labels => array('water', 'people')) s FROM reviews ORDER BY id"
    params = {"candidate_labels": ["water", "people"]}
    expected = score(reviews, model=made, task=task, input="body", output="s", params=params, dtype="float32")
    found = [row["s"] for row in spark.sql(query).collect()]
    assert found == [row["s"] for row in expected.orderBy("id").collect()]


def test_chats_with_parameters_of_each_row(spark: SparkSession, reviews: DataFrame, folder: Path) -> None:
    made = str(chats.save(folder.with_name("chats")))
    register(spark, "chat", made, task="llm/v1/chat", dtype="float32")
    rows = spark.sql("SELECT id, chat(body, max_tokens => id, logit_bias => map('9', 1.5)) s FROM reviews").collect()
    for row in rows:
        if row["s"] is not None:
            assert row["s"]["usage"]["completion_tokens"] <= row["id"]
    params = {"max_tokens": 4, "logit_bias": {"9": 1.5}}
    one = reviews.where("id = 4")
    plain = score(one, model=made, task="llm/v1/chat", input="body", output="s", params=params, dtype="float32")
    assert [row["s"]["choices"] for row in rows if row["id"] == 4] == [plain.first()["s"]["choices"]]


def test_a_function_without_a_gpu_of_its_own_says_so(
    spark: SparkSession, model: PreparedModel, caplog: pytest.LogCaptureFixture
) -> None:
    from dataclasses import replace

    from engine.device import Choice

    udf(spark, replace(model, device=Choice("cuda:0", "the first visible GPU")))
    assert "this session gives its tasks no GPU, so all workers of a host load the model onto cuda:0" in caplog.text
