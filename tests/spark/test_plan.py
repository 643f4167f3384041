"""What plan and sample find out, what they refuse, and that they write nothing."""

from __future__ import annotations

import io
import shutil
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from engine.errors import ModelNotFoundError, SchemaError
from jobs.cli import app
from jobs.errors import SourceChangedError
from jobs.keys import look
from jobs.lease import FILE, Lease
from jobs.obstacles import obstacles
from jobs.plan import plan
from jobs.runner import run
from jobs.sample import sample
from jobs.storage import job_folder
from tests import tiny
from tests.spark import plain
from tests.spark.job import add, define, rows

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from jobs.definition import JobDefinition

pytestmark = pytest.mark.spark

BODIES = ["a good day", "they were not there", None, "a good day", "call me first", "more than words can say"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A classifier that finds both labels among ``BODIES``."""
    return tiny.save(tmp_path_factory.mktemp("classifier"), seed=1)


def embercast(*arguments: str) -> tuple[int, str]:
    with redirect_stdout(io.StringIO()) as out:
        code = app(list(arguments), standalone_mode=False)
    return code or 0, out.getvalue()


def test_plan_counts_chooses_and_tries(spark: SparkSession, folder: Path, tmp_path: Path) -> None:
    add(spark, tmp_path, BODIES)
    definition = define(tmp_path, folder, source={"where": "id < 5"})
    made = plan(definition, spark=spark)
    assert (made.rows, made.scored, made.planned.rows) == (5, 0, 5)
    assert (made.job, made.identity, made.model) == ("reviews", definition.identity, str(folder))
    assert made.task == "text-classification"
    assert str(made.dtype) == "float32 (asked for)"
    assert made.device.value == "cpu"
    assert str(made.threads) == "1 (spark.task.cpus)"
    assert made.batch_tokens.value == 4096
    assert made.slots == spark.sparkContext.defaultParallelism
    assert made.half is None
    assert (made.tried, made.failed, made.warnings) == (4, {}, ())  # the null has nothing to try
    assert made.planned.rows_per_s > 0
    assert made.planned.seconds >= made.planned.rows / made.planned.rows_per_s
    assert not (tmp_path / "sink").exists()


def test_plan_counts_what_this_job_has_scored(spark: SparkSession, folder: Path, tmp_path: Path) -> None:
    add(spark, tmp_path, BODIES)
    definition = define(tmp_path, folder)
    run(definition.model_copy(update={"name": "another"}), spark=spark)
    made = plan(definition, spark=spark)
    assert (made.rows, made.scored, made.planned.rows) == (6, 0, 6)  # another job's rows don't count
    run(definition, spark=spark)
    add(spark, tmp_path, ["new words"], first=100)
    made = plan(definition, spark=spark)
    assert (made.rows, made.scored, made.planned.rows) == (7, 6, 1)


def job_files(folder: Path) -> dict[str, bytes]:
    """What lies in the job's own folder: path → content."""
    job = folder / "sink" / "_embercast"
    return {str(file): file.read_bytes() for file in job.rglob("*") if file.is_file()}


def refused(spark: SparkSession, definition: JobDefinition) -> list[str]:
    return list(obstacles(spark, definition))


def test_plan_names_a_run_under_way_and_leaves_its_lease(spark: SparkSession, folder: Path, tmp_path: Path) -> None:
    add(spark, tmp_path, BODIES)
    definition = define(tmp_path, folder)
    assert refused(spark, definition) == []  # there is no sink yet
    run(definition, spark=spark)
    before = job_files(tmp_path)
    assert refused(spark, definition) == []
    own = job_folder(spark, definition, f"{tmp_path}/sink")
    with Lease(own, "r1"):
        held = own.read(FILE)
        made = plan(definition, spark=spark)
        assert own.read(FILE) == held
    assert len(made.warnings) == 1
    assert made.warnings[0].startswith("a run would be refused now: run r1 of this job is under way on ")
    assert made.planned.rows == 0
    assert job_files(tmp_path) == before


def test_lost_progress_and_new_columns_are_named_together(spark: SparkSession, folder: Path, tmp_path: Path) -> None:
    add(spark, tmp_path, BODIES)
    definition = define(tmp_path, folder)
    run(definition, spark=spark)
    more = rows(spark, ["more"], first=100).selectExpr("*", "5 AS stars").write.format("delta").mode("append")
    more.option("mergeSchema", "true").save(f"{tmp_path}/source")
    shutil.rmtree(tmp_path / "sink" / "_embercast" / definition.identity / "checkpoint")
    before = job_files(tmp_path)
    lost, changed = refused(spark, definition)
    assert "has rows of this job, but the job's progress in" in lost
    assert "changed since the last run: stars int is new." in changed
    assert job_files(tmp_path) == before


@pytest.mark.parametrize(
    ("change", "happened"),
    [
        ("UPDATE delta.`{}` SET body = 'other' WHERE id = 0", "rows of the source were updated"),
        ("DELETE FROM delta.`{}`", "rows of the source were deleted"),
        ("INSERT OVERWRITE delta.`{}` SELECT 9, 'p', 'other'", "rows of the source were updated, or it was overwri"),
        ("CREATE OR REPLACE TABLE delta.`{}` USING delta AS SELECT 9 id, 'p' product, 'other' body", "the source "),
    ],
)
def test_plan_names_a_changed_delta_source_as_the_run_does(
    spark: SparkSession, folder: Path, tmp_path: Path, change: str, happened: str
) -> None:
    add(spark, tmp_path, BODIES)
    definition = define(tmp_path, folder)
    run(definition, spark=spark)
    add(spark, tmp_path, ["new"], first=100)
    spark.sql(f"OPTIMIZE delta.`{tmp_path}/source`")
    assert refused(spark, definition) == []  # rows were added and files put together
    spark.sql(change.format(f"{tmp_path}/source"))
    (named,) = refused(spark, definition)
    assert happened in named
    with pytest.raises(SourceChangedError) as caught:
        run(definition, spark=spark)
    assert str(caught.value) == named


def test_files_written_over_are_named(spark: SparkSession, folder: Path, tmp_path: Path) -> None:
    rows(spark, BODIES).write.parquet(f"{tmp_path}/source")
    definition = define(tmp_path, folder, source={"format": "parquet"})
    run(definition, spark=spark)
    assert refused(spark, definition) == []
    rows(spark, BODIES).write.mode("overwrite").parquet(f"{tmp_path}/source")
    (named,) = refused(spark, definition)
    assert "that were scored are gone or were written over: part-" in named


def test_half_precision_is_compared_with_float32_on_the_same_rows(
    spark: SparkSession, folder: Path, tmp_path: Path
) -> None:
    add(spark, tmp_path, BODIES)
    made = plan(define(tmp_path, folder, compute={"dtype": "bfloat16"}), spark=spark)
    assert made.half is not None
    assert made.half.rows == 5
    assert made.half.agree is not None
    bf16 = sample(define(tmp_path, folder, compute={"dtype": "bfloat16"}), spark=spark)
    largest = agree = 0.0
    for result, body in zip(bf16.results, [body for body in BODIES if body], strict=True):
        assert result is not None
        expected = plain.scores(folder, body)
        agree += result["label"] == max(expected, key=expected.__getitem__)
        largest = max(largest, *(abs(one["score"] - expected[one["label"]]) for one in result["scores"]))
    assert made.half.agree == agree
    assert made.half.difference == pytest.approx(largest, abs=2e-5)
    assert 0 < made.half.difference < 0.1


def test_embeddings_are_compared_without_labels(spark: SparkSession, folder: Path, tmp_path: Path) -> None:
    add(spark, tmp_path, BODIES)
    made = plan(define(tmp_path, folder, task="embeddings", compute={"dtype": "bfloat16"}), spark=spark)
    assert made.half is not None
    assert (made.half.rows, made.half.agree) == (5, None)
    assert 0 < made.half.difference < 0.1


def test_null_and_duplicate_keys_are_named(spark: SparkSession, folder: Path, tmp_path: Path) -> None:
    definition = define(tmp_path, folder, source={"key": ["id", "product"]})
    data = [(1, "a"), (1, "a"), (1, "b"), (None, "a"), (None, "a"), (2, None), (3, "c"), (3, "c"), (3, "c")]
    keyed = spark.createDataFrame([(*key, "now") for key in data], "id INT, product STRING, body STRING")
    keyed.write.format("delta").save(f"{tmp_path}/source")
    found = plan(definition, spark=spark, check_keys=True)
    assert (found.keys.rows, found.keys.whole, found.keys.nulls, found.keys.duplicates) == (9, True, 3, 2)
    assert found.keys.examples == ("id=3 and product=c (3 rows)", "id=1 and product=a (2 rows)")
    assert len(found.warnings) == 1
    assert found.warnings[0].startswith("keys: 3 rows with a null; 2 duplicate keys, such as id=3 and product=c (3 row")


def test_a_bounded_part_of_the_keys_is_looked_at_unless_all_are_asked_for(
    spark: SparkSession, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobs.keys.ROWS", 4)
    add(spark, tmp_path, BODIES)
    add(spark, tmp_path, BODIES[:1])
    definition = define(tmp_path, folder)
    some, everything = look(spark, definition), look(spark, definition, everything=True)
    assert (some.rows, some.whole) == (4, False)
    assert (everything.rows, everything.whole, everything.duplicates) == (7, True, 1)
    assert everything.examples == ("id=0 (2 rows)",)


def test_everything_wrong_with_the_columns_is_one_error(spark: SparkSession, folder: Path, tmp_path: Path) -> None:
    add(spark, tmp_path, BODIES)
    definition = define(
        tmp_path,
        folder,
        source={"key": ["ids"], "inputs": {"text": "id", "text_pair": "boddy"}},
        params={"top_k": {"column": "best"}},
        sink={"keep": ["price"]},
    )
    with pytest.raises(SchemaError) as caught:
        plan(definition, spark=spark)
    has = "in the source, it has id, product, body"
    assert str(caught.value).splitlines() == [
        f"source.key: expected a column ids {has}; write id",
        f"source.inputs: expected a column boddy {has}; write body",
        f"params: expected a column best {has}; name one of these",
        f"sink.keep: expected a column price {has}; name one of these",
        "source.inputs: expected column id (input text of text-classification) to be STRING, it is INT; "
        "name another column or cast it in the source",
    ]


def test_an_output_named_like_a_column_that_is_read_is_refused(
    spark: SparkSession, folder: Path, tmp_path: Path
) -> None:
    add(spark, tmp_path, BODIES)
    with pytest.raises(SchemaError, match=r"sink\.output: expected a name that no column read has, got Body"):
        plan(define(tmp_path, folder, sink={"output": "Body"}), spark=spark)


def test_a_sink_with_other_columns_is_refused(spark: SparkSession, folder: Path, tmp_path: Path) -> None:
    add(spark, tmp_path, BODIES)
    rows(spark, []).selectExpr("CAST(id AS BIGINT) id", "body").write.format("delta").save(f"{tmp_path}/sink")
    with pytest.raises(SchemaError, match=r"expected id int \(it has bigint\); product string .*; no body\."):
        plan(define(tmp_path, folder), spark=spark)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ({"path": "nowhere"}, "nowhere can't be read as the definition says"),
        ({"where": "stars > 3"}, r"can't be read as the definition says: .*stars"),
    ],
)
def test_a_source_that_cant_be_read_is_refused(
    spark: SparkSession, folder: Path, tmp_path: Path, source: dict[str, Any], message: str
) -> None:
    add(spark, tmp_path, BODIES)
    with pytest.raises(SchemaError, match=message):
        plan(define(tmp_path, folder, source=source), spark=spark)


def test_a_model_that_there_is_not_is_refused(spark: SparkSession, tmp_path: Path) -> None:
    add(spark, tmp_path, BODIES)
    with pytest.raises(ModelNotFoundError, match="expected a folder with a model at"):
        plan(define(tmp_path, tmp_path / "none"), spark=spark)


def test_a_source_without_an_input_can_be_planned(spark: SparkSession, folder: Path, tmp_path: Path) -> None:
    add(spark, tmp_path, [None, None])
    made = plan(define(tmp_path, folder, compute={"dtype": "bfloat16"}), spark=spark)
    assert (made.planned.rows, made.tried, made.half, made.warnings) == (2, 0, None, ())


def test_rows_that_fail_in_the_trial_are_a_warning(spark: SparkSession, folder: Path, tmp_path: Path) -> None:
    keyed = spark.createDataFrame(
        [(i, "p", "a good day", 0) for i in range(3)], "id INT, product STRING, body STRING, k INT"
    )
    keyed.write.format("delta").save(f"{tmp_path}/source")
    made = plan(define(tmp_path, folder, params={"top_k": {"column": "k"}}), spark=spark)
    assert made.failed == {"invalid_parameter": 3}
    assert made.params == {"top_k": {"column": "k"}}
    assert made.warnings[0].startswith("3 of 3 rows tried failed, more than errors.max_fraction (1.00%) allows")


def test_sample_scores_the_first_rows_in_order_and_writes_nothing(
    spark: SparkSession, folder: Path, tmp_path: Path
) -> None:
    add(spark, tmp_path, BODIES)
    found = sample(define(tmp_path, folder), spark=spark, rows=4)
    assert found.keys == [{"id": 0}, {"id": 1}, {"id": 3}, {"id": 4}]
    for key, result in zip(found.keys, found.results, strict=True):
        expected = plain.scores(folder, BODIES[key["id"]] or "")
        assert result is not None
        assert {one["label"]: one["score"] for one in result["scores"]} == pytest.approx(expected, abs=1e-5)
    assert not (tmp_path / "sink").exists()


def test_the_main_input_may_be_written_last(spark: SparkSession, folder: Path, tmp_path: Path) -> None:
    add(spark, tmp_path, BODIES)
    definition = define(tmp_path, folder)
    inputs = {"text_pair": "product", "text": "body"}
    definition = definition.model_copy(update={"source": definition.source.model_copy(update={"inputs": inputs})})
    assert [key["id"] for key in sample(definition, spark=spark).keys] == [0, 1, 3, 4, 5]


def test_the_commands_show_what_they_found_and_never_the_texts(
    spark: SparkSession, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows(spark, BODIES).write.option("header", "true").csv(f"{tmp_path}/source")
    schema = "id INT, product STRING, body STRING"
    define(tmp_path, folder, source={"format": "csv", "options": {"header": "true"}, "schema": schema})
    job = f"{tmp_path}/job.yaml"
    code, text = embercast("plan", job, "--set", "compute.dtype=bfloat16", "--check-keys")
    assert code == 0
    for part in (
        "6 to score (6 in the source, 0 scored",
        "bfloat16 (asked for)",
        "no null and no duplicate in all 6 row",
    ):
        assert part in text
    code, scored = embercast("sample", job, "-n", "3")
    assert code == 0
    assert "LABEL_" in scored
    assert not any(body in text + scored for body in BODIES if body)
    assert not (tmp_path / "sink").exists()
    code, _ = embercast("plan", job, "--set", "source.key=[nope]")
    assert code == 2
    assert "source.key: expected a column nope in the source" in capsys.readouterr().err
