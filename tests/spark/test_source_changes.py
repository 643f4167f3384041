"""Updates and deletes of a source that keeps a change data feed, rows merged by key, and a partition replaced."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from engine.errors import SchemaError
from jobs import limits
from jobs.definition import JobDefinition, load
from jobs.errors import DefinitionError, LimitReachedError, RunError
from jobs.plan import plan
from jobs.runner import run
from tests.faults import fault
from tests.scoring import rows as score_rows
from tests.scoring import scorer
from tests.spark.job import add, define, ids, rows, sink

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = pytest.mark.spark

BODIES = ["a good day", "they were not there", "now", "call me first"]


def fed(spark: SparkSession, folder: Path, bodies: list[str] = BODIES) -> Any:
    """A source with a change data feed."""
    from delta.tables import DeltaTable

    spark.sql(
        f"CREATE TABLE delta.`{folder}/source` (id INT, product STRING, body STRING) USING delta "
        "TBLPROPERTIES (delta.enableChangeDataFeed = true)"
    )
    add(spark, folder, bodies)
    return DeltaTable.forPath(spark, f"{folder}/source")


def answers(spark: SparkSession, folder: Path) -> dict[int, float]:
    return {row["id"]: row["sentiment"]["score"] for row in sink(spark, folder)}


def expected(model: Path, bodies: dict[int, str]) -> Any:
    found = score_rows(scorer(model), text=list(bodies.values()))
    return pytest.approx({key: row["score"] for key, row in zip(bodies, found, strict=True) if row}, abs=1e-5)


def test_changes_are_followed_by_key(spark: SparkSession, sentiment: Path, tmp_path: Path) -> None:
    table = fed(spark, tmp_path)
    definition = define(tmp_path, sentiment, source={"changes": "rescore"})
    assert run(definition, spark=spark).rows == 4
    table.update("id = 1", {"body": "'say how'"})
    table.update("id = 1", {"body": "'say how they were'"})
    table.delete("id = 2")
    add(spark, tmp_path, ["one more"], first=4)
    assert plan(definition, spark=spark).planned.rows == 2
    summary = run(definition, spark=spark)
    assert (summary.rows, ids(spark, tmp_path)) == (2, [0, 1, 3, 4])
    after = {0: BODIES[0], 1: "say how they were", 3: BODIES[3], 4: "one more"}
    assert answers(spark, tmp_path) == expected(sentiment, after)
    assert plan(definition, spark=spark).planned.rows == 0
    assert run(definition, spark=spark).rows == 0


def test_a_row_that_stops_to_meet_where_goes(spark: SparkSession, sentiment: Path, tmp_path: Path) -> None:
    table = fed(spark, tmp_path)
    definition = define(tmp_path, sentiment, source={"changes": "rescore", "where": "product = 'p0'"})
    run(definition, spark=spark)
    assert ids(spark, tmp_path) == [0, 2]
    table.update("id IN (0, 1)", {"product": "CASE id WHEN 0 THEN 'p1' ELSE 'p0' END"})
    assert run(definition, spark=spark).rows == 1
    assert ids(spark, tmp_path) == [1, 2]


def test_keys_that_change_and_come_back_in_one_commit(spark: SparkSession, sentiment: Path, tmp_path: Path) -> None:
    table = fed(spark, tmp_path)
    definition = define(tmp_path, sentiment, source={"changes": "rescore", "where": "product != 'gone'"})
    run(definition, spark=spark)
    table.update("id = 1", {"id": "9"})
    assert run(definition, spark=spark).rows == 1
    assert ids(spark, tmp_path) == [0, 2, 3, 9]
    new = "CASE id WHEN 0 THEN 'gone' ELSE product END product"  # every row goes and comes; one does not meet where
    again = spark.read.format("delta").load(f"{tmp_path}/source").selectExpr("id", new, "upper(body) body")
    again.localCheckpoint().write.format("delta").mode("overwrite").save(f"{tmp_path}/source")
    assert run(definition, spark=spark).rows == 3
    after = {2: BODIES[2].upper(), 3: BODIES[3].upper(), 9: BODIES[1].upper()}
    assert answers(spark, tmp_path) == expected(sentiment, after)


def test_what_a_limited_run_left_is_planned(
    spark: SparkSession, sentiment: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fed(spark, tmp_path)
    options = {"source": {"changes": "rescore"}, "compute": {"dtype": "float32", "max_files_per_commit": 1}}
    limited = define(tmp_path, sentiment, limits={"max_rows": 1}, **options)
    with monkeypatch.context() as patch:  # as where rows came after the plan
        patch.setattr(limits, "exceeded", lambda *_: None)
        for at in (1, 2):  # amid the table's first reading; then amid what came
            add(spark, tmp_path, BODIES, first=100 * at)
            with pytest.raises(LimitReachedError):
                run(limited, spark=spark)
            rows_of_source = spark.read.format("delta").load(f"{tmp_path}/source").count()
            assert plan(limited, spark=spark).planned.rows == rows_of_source - len(ids(spark, tmp_path))


def test_changes_are_ignored_and_new_rows_of_an_overwrite_are_not(
    spark: SparkSession, sentiment: Path, tmp_path: Path
) -> None:
    table = fed(spark, tmp_path)
    definition = define(tmp_path, sentiment, source={"changes": "ignore"})
    run(definition, spark=spark)
    table.update("id = 1", {"body": "'say how'"})
    table.delete("id = 2")
    new = rows(spark, ["now", "then"], first=8).alias("new")
    table.alias("old").merge(new, "old.id = new.id").whenNotMatchedInsertAll().execute()
    assert plan(definition, spark=spark).planned.rows == 2
    assert run(definition, spark=spark).rows == 2
    assert answers(spark, tmp_path) == expected(sentiment, {**dict(enumerate(BODIES)), 8: "now", 9: "then"})


def test_a_job_goes_over_to_following_changes(spark: SparkSession, sentiment: Path, tmp_path: Path) -> None:
    table = fed(spark, tmp_path)
    run(define(tmp_path, sentiment), spark=spark)
    table.update("id = 1", {"body": "'say how'"})
    definition = define(tmp_path, sentiment, source={"changes": "rescore"})
    assert run(definition, spark=spark).rows == 1
    assert answers(spark, tmp_path) == expected(sentiment, {**dict(enumerate(BODIES)), 1: "say how"})


@fault(
    "changes are to be followed, and the source keeps no change data feed",
    of="the source",
    seen="no row is scored: how the feed is switched on",
    left="switch it on, or write `changes: fail`",
)
def test_without_a_feed_it_is_said(spark: SparkSession, sentiment: Path, tmp_path: Path) -> None:
    add(spark, tmp_path, BODIES)
    for changes in ("ignore", "rescore"):
        definition = define(tmp_path, sentiment, source={"changes": changes})
        for look in (plan, run):
            with pytest.raises(SchemaError, match=r"reads the change data feed of .*, which is off"):
                look(definition, spark=spark)


@fault(
    "the driver dies behind a MERGE, before its checkpoint",
    of="processes",
    seen="the run ends; the next one finds the merge and does not score it again",
    left="run the job again",
)
@pytest.mark.oldest
def test_merge_replaces_rows_by_key_exactly_once(
    spark: SparkSession, sentiment: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from jobs.commits import Commits

    add(spark, tmp_path, BODIES)
    definition = define(tmp_path, sentiment, sink={"mode": "merge"})
    run(definition, spark=spark)
    add(spark, tmp_path, ["say how", "they were"], first=3)
    with monkeypatch.context() as patch:  # the driver dies after the merge, before the stream noted it
        patch.setattr(Commits, "_version_of", _die_at_the_second(Commits._version_of))
        with pytest.raises(RuntimeError, match="killed"):
            run(definition, spark=spark)
    after = {**dict(enumerate(BODIES[:3])), 3: "say how", 4: "they were"}
    assert answers(spark, tmp_path) == expected(sentiment, after)
    assert run(definition, spark=spark).rows == 0
    assert answers(spark, tmp_path) == expected(sentiment, after)
    assert spark.conf.get("spark.databricks.delta.write.txnAppId", None) is None


@fault(
    "keys of a merged source are not unique",
    of="the source",
    seen="the run ends before anything of them is in the sink: how many keys have several rows",
    left="mend the keys, run the job again",
)
def test_keys_that_are_not_unique_change_nothing(spark: SparkSession, sentiment: Path, tmp_path: Path) -> None:
    add(spark, tmp_path, BODIES)
    add(spark, tmp_path, BODIES[:1])
    with pytest.raises(RunError, match="1 keys have several: nothing of them went into"):
        run(define(tmp_path, sentiment, sink={"mode": "merge"}), spark=spark)
    assert ids(spark, tmp_path) == []


def test_a_partition_is_replaced_and_doing_it_twice_is_the_same(
    spark: SparkSession, sentiment: Path, tmp_path: Path
) -> None:
    add(spark, tmp_path, BODIES)

    def of(product: str) -> JobDefinition:
        return define(
            tmp_path,
            sentiment,
            variables=[f"product={product}"],
            source={"where": "product = '${var:product}'"},
            sink={"mode": "replace_where", "replace_where": "product = '${var:product}'"},
        )

    assert [run(of(product), spark=spark).rows for product in ("p0", "p1", "p1")] == [2, 2, 2]
    assert answers(spark, tmp_path) == expected(sentiment, dict(enumerate(BODIES)))
    add(spark, tmp_path, ["say how"], first=4)
    assert plan(of("p0"), spark=spark).planned.rows == 3
    assert run(of("p0"), spark=spark).rows == 3
    assert ids(spark, tmp_path) == [0, 1, 2, 3, 4]
    wrong = define(tmp_path, sentiment, sink={"mode": "replace_where", "replace_where": "ds = 1"})
    with pytest.raises(SchemaError, match="a condition on the sink"):
        run(wrong, spark=spark)


@pytest.mark.parametrize(
    ("variables", "told"),
    [([], "a value for ${var:ds}, got none"), (["ds"], "expected NAME=VALUE, got ds"), (["ds=1'"], "without quotes")],
)
def test_variables_are_checked(tmp_path: Path, variables: list[str], told: str) -> None:
    file = tmp_path / "job.yaml"
    file.write_text(
        "version: 1\nname: a\nmodel: m\nsource: {path: 'in/${var:ds}', key: [id], inputs: {text: body}}\n"
        "sink: {path: out}\n"
    )
    with pytest.raises(DefinitionError) as caught:
        load(file, variables=variables)
    assert told in str(caught.value)


def _die_at_the_second(look: Any) -> Any:
    calls = []

    def version_of(*args: Any) -> Any:
        calls.append(args)
        if len(calls) == 2:  # first whether it is there already, then what was written
            raise RuntimeError("killed")
        return look(*args)

    return version_of
