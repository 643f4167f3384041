"""A Spark Connect server of two executors, as processes of this host."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from demo.cluster.ports import HOST, free_port, wait_for
from demo.cluster.processes import Processes

_CONFIGURATION = {
    "spark.connect.grpc.binding.address": HOST,
    "spark.driver.memory": "512m",
    "spark.ui.enabled": "false",
    "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
    "spark.executor.extraJavaOptions": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
    "spark.executor.memory": "512m",
}


@contextmanager
def server(home: Path, env: Mapping[str, str]) -> Iterator[str]:
    """Its address, ``sc://host:port``. Folders and logs of its processes lie in ``home``, which is made.

    Args:
        home: a folder that is not there yet.
        env: of the server and its executors, over this process's own without what is ours.
    """
    import pyspark

    home.mkdir()
    port = free_port()
    options = {**_CONFIGURATION, "spark.connect.grpc.binding.port": str(port), "spark.local.dir": str(home / "local")}
    spark = home / "spark"  # its workers write into Spark's own folder
    spark.mkdir()
    for name in ("bin", "jars", "python"):
        (spark / name).symlink_to(Path(pyspark.__file__).parent / name)
    command = [str(spark / "bin" / "spark-submit"), "--master", "local-cluster[2,1,512]"]
    for name, value in options.items():
        command += ["--conf", f"{name}={value}"]
    command += ["--class", "org.apache.spark.sql.connect.service.SparkConnectServer"]
    processes, own = Processes(home), {"SPARK_LOCAL_IP": HOST, "SPARK_HOME": str(spark)}
    try:
        wait_for(port, processes.start("server", command, env={**own, **env}))
        yield f"sc://{HOST}:{port}"
    finally:
        processes.stop()
