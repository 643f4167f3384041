"""One Spark session, one MLflow, and each task's model logged once, for all tests here."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import pyarrow as pa
import pytest

import udfs.pyfunc
from engine.schema import schema_of
from tests import homes, scoring
from tests.conformance.base import score, structs
from tests.golden.cases import CASES, Case
from tests.golden.doors import Rows, Structs

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


@pytest.fixture(scope="package", autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """$EMBERCAST_CACHE of these tests, with the user's Delta jars, and an MLflow of theirs."""
    made = tmp_path_factory.mktemp("golden")
    with homes.home(made) as patch:
        patch.setenv("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
        yield made


@pytest.fixture(scope="package")
def spark(home: Path) -> SparkSession:
    """Left running: other tests of the process may share it."""
    from jobs.session import session

    return session("golden")


@dataclass(frozen=True, kw_only=True)
class Golden:
    """A case whose model is logged.

    Args:
        case: its rows.
        folder: of the model that was logged.
        rows: for the doors.
        expected: what the engine says of each row, scored alone.
    """

    case: Case
    folder: Path
    rows: Rows
    expected: Structs

    @property
    def output(self) -> pa.StructType:
        """The task's struct."""
        return schema_of(self.case.task).output


#: The case of a task.
Goldens: TypeAlias = Callable[[str], Golden]


@pytest.fixture(scope="package")
def experiment(home: Path) -> str:
    """The id of an experiment whose artifacts lie beside the database, not in the current folder."""
    import mlflow

    return str(mlflow.create_experiment("golden", artifact_location=(home / "artifacts").as_uri()))


@pytest.fixture(scope="package")
def golden(spark: SparkSession, experiment: str, tmp_path_factory: pytest.TempPathFactory) -> Goldens:
    """Gives the case of a task, whose model is logged when it is first asked for."""

    @cache
    def of(task: str) -> Golden:
        case, name = CASES[task], f"golden_{task.replace('/', '_')}"
        folder = case.save(tmp_path_factory.mktemp("model"))
        version = log(case, folder, name, experiment)
        place = tmp_path_factory.mktemp("table")
        rows = Rows(spark=spark, uri=f"models:/{name}@champion", dtype="float32", table=case.table, folder=place)
        return Golden(case=case, folder=folder, rows=rows, expected=alone(case, folder, f"models:/{name}/{version}"))

    return of


def log(case: Case, folder: Path, name: str, experiment: str) -> str:
    """Logs and registers the model of a folder as ``name@champion``, and returns its version."""
    import mlflow

    with mlflow.start_run(experiment_id=experiment):
        logged = udfs.pyfunc.log_model(
            str(folder),
            name="model",
            task=case.task,
            definition={"dtype": "float32"},
            model_config=dict(case.params),
            registered_model_name=name,
            alias="champion",
        )
    return str(logged.registered_model_version)


def alone(case: Case, folder: Path, known_as: str) -> Structs:
    """What the engine says of each row without Spark or MLflow, no other row beside it; equal rows are scored once."""
    names = tuple(case.columns)
    made = scoring.scorer(folder, task=case.task, params=case.params, inputs=names, window_rows=1)
    made.task.known_as = known_as
    inputs = case.table.select(names)
    keys = [repr(row) for row in inputs.to_pylist()]
    first = {key: at for at, key in reversed([*enumerate(keys)])}
    known = dict(zip(first, structs(score(made, inputs.take(pa.array(first.values())))), strict=True))
    return [known[key] for key in keys]
