"""What others do to source, sink and registry while a run is under way, between its first commit and its second."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from engine.errors import ModelNotFoundError, SchemaError
from jobs.errors import LeaseHeldError, SourceChangedError
from jobs.progress import Progress
from jobs.runner import run
from tests import tiny
from tests.faults import fault
from tests.spark.job import add, define, ids, sink, vacuum

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from jobs.definition import JobDefinition

pytestmark = pytest.mark.spark

BODIES = ["a good day", "they were not there", "now"]
FILES = 2


@pytest.fixture
def job(spark: SparkSession, sentiment: Path, tmp_path: Path) -> JobDefinition:
    """A job of two commits of three rows."""
    for at in range(FILES):
        add(spark, tmp_path, BODIES, first=3 * at)
    return define(tmp_path, sentiment, compute={"max_files_per_commit": 1})


@pytest.fixture
def amid(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], Any]], list[Any]]:
    """Has something done after a run's first commit, once; gives what it returned."""

    def do(something: Callable[[], Any]) -> list[Any]:
        committed, done = Progress.committed, []

        def then(self: Progress, totals: Any) -> None:
            committed(self, totals)
            if not done:
                done.append(something())

        monkeypatch.setattr(Progress, "committed", then)
        return done

    return do


@fault(
    "OPTIMIZE and VACUUM of source and sink while a run is under way",
    of="the sink",
    seen="nothing",
    left="nothing",
)
def test_optimize_and_vacuum_change_nothing(spark: SparkSession, job: JobDefinition, tmp_path: Path, amid: Any) -> None:
    def tidy() -> None:
        for table in ("sink", "source"):
            spark.sql(f"OPTIMIZE delta.`{tmp_path}/{table}`")
        vacuum(spark, tmp_path / "sink")

    done = amid(tidy)
    summary = run(job, spark=spark)
    assert (len(done), summary.rows, ids(spark, tmp_path)) == (1, 6, list(range(6)))
    assert run(job, spark=spark).rows == 0
    assert ids(spark, tmp_path) == list(range(6))


@fault(
    "a column is added to the source while a run is under way (ALTER TABLE)",
    of="the source",
    seen="that run may end, and says so; the next one says which column is new",
    left="run the job once with `--accept-schema`",
)
def test_a_column_that_comes_meanwhile_is_asked_about(
    spark: SparkSession, job: JobDefinition, tmp_path: Path, amid: Any
) -> None:
    amid(lambda: spark.sql(f"ALTER TABLE delta.`{tmp_path}/source` ADD COLUMN lang STRING"))
    with suppress(SourceChangedError):  # it depends on the commit that Delta's stream looks at next
        run(job, spark=spark)
    there = ids(spark, tmp_path)
    assert len(there) in (3, 6)
    assert len(set(there)) == len(there)
    with pytest.raises(SourceChangedError, match=r"lang string is new.*--accept-schema"):
        run(job, spark=spark)
    run(job, spark=spark, accept_schema=True)
    assert ids(spark, tmp_path) == list(range(6))


@fault(
    "a column is added to the sink while a run is under way (ALTER TABLE)",
    of="the sink",
    seen="the next run is refused: the sink has other columns than this job writes",
    left="drop the column, or name another sink",
)
def test_a_column_that_the_sink_gets_is_told(
    spark: SparkSession, job: JobDefinition, tmp_path: Path, amid: Any
) -> None:
    amid(lambda: spark.sql(f"ALTER TABLE delta.`{tmp_path}/sink` ADD COLUMN checked BOOLEAN"))
    assert run(job, spark=spark).rows == 6
    assert ids(spark, tmp_path) == list(range(6))
    with pytest.raises(SchemaError, match="has other columns than this job writes; expected no checked"):
        run(job, spark=spark)
    assert ids(spark, tmp_path) == list(range(6))


@fault(
    "rows of the source are updated while a run is under way",
    of="the source",
    seen="the run is stopped, and the next one too: rows of the source were updated; what was committed stays",
    left="run under another name into another sink, or write `changes: rescore`",
)
def test_rows_updated_meanwhile_are_not_scored_twice(
    spark: SparkSession, job: JobDefinition, tmp_path: Path, amid: Any
) -> None:
    amid(lambda: spark.sql(f"UPDATE delta.`{tmp_path}/source` SET body = 'other' WHERE id = 5"))
    for _ in range(2):
        with pytest.raises(SourceChangedError, match="rows of the source were updated, or it was overwritten"):
            run(job, spark=spark)
        there = ids(spark, tmp_path)
        assert len(there) == len(set(there)) >= 3


@fault(
    "a second run of the job starts while the first is under way",
    of="runs",
    seen="the second is refused: which run holds the job, on which host, and when it was seen",
    left="nothing: the first goes on",
)
def test_a_second_run_at_once_is_refused(spark: SparkSession, job: JobDefinition, tmp_path: Path, amid: Any) -> None:
    def again() -> str:
        with pytest.raises(LeaseHeldError) as caught:
            run(job, spark=spark)
        return str(caught.value)

    refused = amid(again)
    summary = run(job, spark=spark)
    assert f"run {summary.run_id} of this job is under way on " in refused[0]
    assert "wait for it" in refused[0]
    assert (summary.rows, ids(spark, tmp_path)) == (6, list(range(6)))


@pytest.fixture
def registered(tmp_path_factory: pytest.TempPathFactory, cache_home: Path, tmp_path: Path) -> str:
    """Two versions of a tiny classifier; the alias names the first. A registry of its own."""
    import mlflow

    from jobs.log import log_folder

    home = tmp_path_factory.mktemp("registry")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(home)
        for seed in (1, 2):
            folder = tiny.save(home / str(seed), seed=seed, id2label={0: "negative", 1: "positive"})
            log_folder(folder, name="moving", task=None)
    mlflow.MlflowClient().set_registered_model_alias("moving", "champion", "1")
    return "models:/moving@champion"


@fault(
    "the alias is moved while a run is under way",
    of="the model",
    seen="nothing: the run ends with the version that it began with; `plan` names the change",
    left="what `on_change` says, with the next run",
)
def test_an_alias_that_moves_meanwhile_counts_for_the_next_run(
    spark: SparkSession, registered: str, tmp_path: Path, amid: Any
) -> None:
    import mlflow

    for at in range(FILES):
        add(spark, tmp_path, BODIES, first=3 * at)
    job = define(tmp_path, registered, compute={"max_files_per_commit": 1})
    amid(lambda: mlflow.MlflowClient().set_registered_model_alias("moving", "champion", "2"))
    assert run(job, spark=spark).rows == 6
    assert _versions(spark, tmp_path) == {"1": 6}
    add(spark, tmp_path, BODIES, first=6)
    assert run(job, spark=spark).rows == 3
    assert _versions(spark, tmp_path) == {"1": 6, "2": 3}
    assert ids(spark, tmp_path) == list(range(9))


def _versions(spark: SparkSession, folder: Path) -> dict[str, int]:
    return dict(Counter(row["_model_version"] for row in sink(spark, folder)))


@fault(
    "the registry does not answer",
    of="the model",
    seen="no row is read: which model was asked for, where, and what came instead",
    left="look at MLFLOW_TRACKING_URI and the server; run the job again",
)
def test_a_registry_that_is_down_is_told_before_a_row_is_read(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(spark, tmp_path, BODIES)
    job = define(tmp_path, "models:/moving@champion")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(ModelNotFoundError, match="expected models:/moving@champion in the registry at http") as caught:
        run(job, spark=spark)
    assert "MLFLOW_TRACKING_URI" in str(caught.value)
    assert not (tmp_path / "sink").exists()
