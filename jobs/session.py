"""The Spark session of a command: an active one, spark-submit's, or a local one. Runs on the driver."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from jobs import functions, jars, workers
from jobs.errors import RunError
from udfs.connect import is_connect

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_DELTA: Final = {
    "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
    "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
}
#: Of a session in this process. $EMBERCAST_MASTER names another master.
_LOCAL: Final = {
    "spark.master": "local[*,4]",  # a task whose worker dies is tried again, as on a cluster
    "spark.driver.memory": "2g",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.sql.shuffle.partitions": "8",
    "spark.databricks.delta.snapshotPartitions": "2",  # Delta's 50 cost seconds on small tables
}


_NO_CONNECT: Final = (
    "expected a Spark session with a driver of its own, got Spark Connect: a job keeps its lease and its progress "
    "through the driver's JVM. Run it by spark-submit, or unset SPARK_REMOTE; udfs.score, udf and register work on "
    "Spark Connect"
)


def session(name: str, *, with_functions: bool = True) -> SparkSession:
    """The session that is active, the one that spark-submit configured, or a local one with Delta.

    One that is started here has the SQL functions that ``jobs.functions`` finds, unless it runs no query of anyone's
    (``with_functions=False``): each costs the preparation of its model. One that was there keeps its own.

    Raises RunError where the session has no Delta, with the options that give it one, and where it is one of Spark
    Connect; DefinitionError where a function can't be made.
    """
    from pyspark import SparkContext
    from pyspark.sql import SparkSession

    if "SPARK_REMOTE" in os.environ:  # Spark would take it for the session that is started here
        raise RunError(_NO_CONNECT)
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)  # workers take the system's Python otherwise
    active = SparkSession.getActiveSession()
    is_new = active is None and SparkContext._active_spark_context is None  # another thread's is active there alone
    spark = active or _start(name)
    check_classic(spark)
    _check_delta(spark)
    if is_new and with_functions:
        _add_functions(spark)
    return spark


def _add_functions(spark: SparkSession) -> None:
    try:
        functions.register(spark)
    except BaseException:
        spark.stop()  # it would be taken for whole the next time
        raise


def _start(name: str) -> SparkSession:
    from pyspark.sql import SparkSession

    builder = SparkSession.builder.appName(name)
    if "PYSPARK_GATEWAY_PORT" in os.environ:  # started by spark-submit, whose configuration counts
        options = _DELTA
    else:
        os.environ.setdefault("LOG4J_CONFIGURATION_FILE", str(Path(__file__).with_name("log4j2.properties")))
        options = {**_LOCAL, **_DELTA, "spark.jars": ",".join(map(str, jars.wanted()))}
        options["spark.master"] = os.environ.get("EMBERCAST_MASTER", options["spark.master"])
        if options["spark.master"].startswith("local["):
            os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")  # needs no name of this host
        forked_from = workers.daemon(options["spark.master"])
        if forked_from is not None:
            options["spark.python.daemon.module"] = forked_from
    for key, value in options.items():
        builder = builder.config(key, value)
    return builder.getOrCreate()


def check_classic(spark: SparkSession) -> None:
    """Raises RunError for a session of Spark Connect, on which no job runs."""
    if is_connect(spark):
        raise RunError(_NO_CONNECT)


def _check_delta(spark: SparkSession) -> None:
    loader = spark._jvm.java.lang.Thread.currentThread().getContextClassLoader()
    try:
        loader.loadClass(_DELTA["spark.sql.catalog.spark_catalog"])
    except Exception as error:
        raise RunError(
            "expected Delta in the Spark session, its classes are not there: spark-submit "
            "--jars $(python -m jobs.jars), or spark.jars in spark-defaults.conf"
        ) from error
    for key, value in _DELTA.items():
        if value not in (spark.conf.get(key, "") or ""):
            raise RunError(f"expected {key}={value} in the Spark session, got {spark.conf.get(key, None)}: set it")
