"""Models of no task in the table, through every door: a PyFunc with its own code."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from engine.errors import ParameterError, SchemaError, UnsafeModelError
from jobs.cli import app
from jobs.plan import plan
from jobs.runner import run
from tests import pyfuncs
from tests.spark.job import add, define, rows, sink
from udfs import register, score, udf

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = [
    pytest.mark.spark,
    pytest.mark.filterwarnings("ignore:.*An input example was not provided:UserWarning"),
]

BODIES = ["a good day", None, "now", "they were not there", "now"]


@pytest.fixture(scope="module")
def lengths(cache_home: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """``tests.pyfuncs.LENGTHS`` in the registry, as stock MLflow logs it."""
    import mlflow
    import pandas as pd
    from mlflow.models import infer_signature

    home = tmp_path_factory.mktemp("logged")
    (home / "script.py").write_text(pyfuncs.LENGTHS, encoding="utf-8")
    signature = infer_signature(pd.DataFrame({"body": ["a text"]}), params={"scale": 1.0})
    experiment = mlflow.create_experiment("foreign", artifact_location=f"file://{home}/artifacts")
    with mlflow.start_run(experiment_id=experiment):
        mlflow.pyfunc.log_model(
            name="lengths",
            python_model=str(home / "script.py"),
            pip_requirements=["mlflow"],
            registered_model_name="lengths",
            signature=signature,
        )
    return "models:/lengths/1"


def said(body: str | None, scale: float = 1.0) -> dict[str, Any] | None:
    if body is None:
        return None
    words = [{"word": word, "length": len(word)} for word in body.split()]
    return {"length": len(body) * scale, "words": words, "error": None}


def structs(scored: Any, column: str = "s") -> list[dict[str, Any] | None]:
    found = sorted(scored.collect(), key=lambda row: row["id"])
    return [row[column] and row[column].asDict(recursive=True) for row in found]


def test_a_pyfunc_scores_a_table(spark: SparkSession, lengths: str) -> None:
    scored = score(rows(spark, BODIES), model=lengths, input="body", output="s", allow_foreign_code=True)
    assert scored.schema["s"].dataType.simpleString().startswith("struct<length:double,words:array<struct<word:string,")
    assert structs(scored) == [said(body) for body in BODIES]


def test_a_row_on_which_it_raises_costs_itself(spark: SparkSession, lengths: str) -> None:
    bodies = [f"row {i}" for i in range(30)]
    bodies[20], bodies[25] = "raises", "new field"
    scored = structs(score(rows(spark, bodies), model=lengths, input="body", output="s", allow_foreign_code=True))
    errors = {i: row["error"] for i, row in enumerate(scored) if row and row["error"]}
    assert {i: error["code"] for i, error in errors.items()} == {20: "forward_failed", 25: "schema_mismatch"}
    assert not any("raises" in error["message"] or "quotes" in error["message"] for error in errors.values())
    assert [scored[i] for i in range(30) if i not in errors] == [said(bodies[i]) for i in range(30) if i not in errors]


def test_its_code_does_not_run_unless_it_is_allowed(spark: SparkSession, lengths: str, tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    script = f"open({str(ran)!r}, 'w').close()\n{pyfuncs.LENGTHS}"
    spying = pyfuncs.save(tmp_path / "spying", script)
    ran.unlink()
    for model in (lengths, str(spying)):
        with pytest.raises(UnsafeModelError, match="write allow_foreign_code: true"):
            score(rows(spark, BODIES), model=model, input="body", output="s")
    assert not ran.exists()


def test_columns_and_sql(spark: SparkSession, lengths: str) -> None:
    df = rows(spark, BODIES)
    expected = [said(body, 2.0) for body in BODIES]
    options: dict[str, Any] = {"allow_foreign_code": True, "sample": df.select("body"), "params": {"scale": 2.0}}
    assert structs(df.select("id", udf(spark, lengths, **options)("body").alias("s"))) == expected
    register(spark, "lengths", lengths, **options)
    df.createOrReplaceTempView("bodies")
    assert structs(spark.sql("SELECT id, lengths(body) AS s FROM bodies")) == expected


def test_what_is_missing_is_told_on_the_driver(spark: SparkSession, lengths: str) -> None:
    with pytest.raises(ParameterError, match="expected a sample: pyfunc is no task of the table"):
        udf(spark, lengths, allow_foreign_code=True)
    df = rows(spark, BODIES)
    with pytest.raises(ParameterError, match=r"model's signature \(scale\), got scael"):
        score(df, model=lengths, input="body", output="s", allow_foreign_code=True, params={"scael": 1.0})
    with pytest.raises(ParameterError, match="expected dtype auto for a PyFunc"):
        score(df, model=lengths, input="body", output="s", allow_foreign_code=True, dtype="bfloat16")
    with pytest.raises(SchemaError, match="expected inputs named body, got 'text'"):
        score(df, model=lengths, input={"text": "body"}, output="s", allow_foreign_code=True)


def test_the_logged_example_is_a_sample(spark: SparkSession, tmp_path: Path) -> None:
    folder = pyfuncs.save(tmp_path, pyfuncs.SHOUTS, input_example=["a", "b"])
    df = rows(spark, BODIES)
    scored = df.select("id", udf(spark, str(folder), allow_foreign_code=True)("body").alias("s"))
    assert structs(scored) == [body and {"result": body.upper(), "error": None} for body in BODIES]


def test_a_job_keeps_the_struct_of_its_sink(spark: SparkSession, lengths: str, tmp_path: Path) -> None:
    add(spark, tmp_path, BODIES)
    definition = define(
        tmp_path,
        lengths,
        task=None,  # type: ignore[arg-type]
        source={"inputs": "body"},
        compute={"dtype": "auto"},
        allow_foreign_code=True,  # type: ignore[arg-type]
        errors={"max_fraction": 1.0},
    )
    planned = plan(definition, spark=spark)
    assert (planned.task, planned.dtype.value, planned.half, planned.failed) == ("pyfunc", "own", None, {})
    assert planned.warnings[0].startswith("a PyFunc runs its own code")
    assert planned.planned.rows == 5

    assert run(definition, spark=spark).rows == 5
    add(spark, tmp_path, ["new field"], first=5)  # alone, it would give the struct another field
    summary = run(definition, spark=spark)
    assert (summary.rows, summary.failed, summary.dtype, summary.task) == (1, 1, "own", "pyfunc")
    written = [row["sentiment"] and row["sentiment"].asDict(recursive=True) for row in sink(spark, tmp_path)]
    assert written[:5] == [said(body) for body in BODIES]
    assert written[5]["error"]["code"] == "schema_mismatch"
    assert {row["_dtype"] for row in sink(spark, tmp_path)} == {"own"}


def test_the_command_refuses_a_definition_without_the_key(
    spark: SparkSession, lengths: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    add(spark, tmp_path, BODIES)
    define(tmp_path, lengths, task=None, source={"inputs": "body"}, compute={"dtype": "auto"})  # type: ignore[arg-type]
    code = app(["run", f"{tmp_path}/job.yaml"], standalone_mode=False)
    assert code == 2
    assert "write allow_foreign_code: true" in capsys.readouterr().err
