"""What Spark gives its executors, by the words of a configuration."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from engine.errors import ParameterError
from engine.footprint import Executor
from engine.options import ExecutorRequest
from udfs.executors import check_allocates, executor_of, most_executors


def session(master: str, total: int, executors: int = 0, **conf: str) -> Any:
    """A session of a cluster with so many cores and executors, among which Spark counts the driver."""
    known = {f"spark.executor.{name.replace('_', '.')}": value for name, value in conf.items()}
    scala = SimpleNamespace(getExecutorMemoryStatus=lambda: SimpleNamespace(size=lambda: executors + 1))
    context = SimpleNamespace(
        master=master, defaultParallelism=total, _jsc=SimpleNamespace(sc=lambda: scala), getConf=lambda: conf
    )
    configuration = SimpleNamespace(get=lambda name, default: known.get(name, default))
    return SimpleNamespace(conf=configuration, sparkContext=context)


@pytest.mark.parametrize(
    ("spark", "found"),
    [
        (session("local[8,4]", 8), Executor(cores=8, gpus=0)),
        (session("local", 1, resource_gpu_amount="2"), Executor(cores=1, gpus=0)),  # which local mode does not look at
        (session("k8s://host", 32, 4, cores="8", resource_gpu_amount="2"), Executor(cores=8, gpus=2)),
        (session("spark://host:7077", 32, 4, resource_gpu_amount="1"), Executor(cores=8, gpus=1)),
        (session("spark://host:7077", 2, 0), Executor(cores=None, gpus=0)),
        (session("yarn", 8, 2, cores="4"), Executor(cores=4, gpus=0)),
    ],
)
def test_an_executor(spark: Any, found: Executor) -> None:
    assert executor_of(spark) == found


def test_one_that_is_asked_for() -> None:
    spark = session("spark://host:7077", 8, 2, cores="4")
    assert executor_of(spark, ExecutorRequest(gpus=2, cores=16)) == Executor(cores=16, gpus=2)


@pytest.mark.parametrize(("told", "most"), [({"maxExecutors": "12"}, 12), ({}, 1)])
def test_how_many_spark_may_start(told: dict[str, str], most: int) -> None:
    spark = session("yarn", 8, 2)
    spark.conf.get = lambda name, default: told.get(name.rpartition(".")[2], default)
    assert most_executors(spark) == most


def test_a_session_that_starts_none_is_refused() -> None:
    with pytest.raises(ParameterError, match=r"expected spark.dynamicAllocation.enabled=true, .* compute.executor out"):
        check_allocates(session("yarn", 8, 2))


def test_spark_connect_shows_its_configuration_alone() -> None:
    made: Any = type("SparkSession", (), {"__module__": "pyspark.sql.connect.session"})()
    made.conf = session("", 0, cores="4", resource_gpu_amount="1").conf
    assert executor_of(made) == Executor(cores=4, gpus=1)
