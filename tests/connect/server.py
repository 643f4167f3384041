"""A Spark Connect server of two executors, as processes of this host."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.spark.test_stock_cluster import HOST, environment, free_port, wait_for

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
        env: of the server and its executors, beside this process's own without what is ours.
    """
    import pyspark

    home.mkdir()
    port = free_port()
    options = {**_CONFIGURATION, "spark.connect.grpc.binding.port": str(port), "spark.local.dir": str(home / "local")}
    command = [str(Path(pyspark.__file__).parent / "bin" / "spark-submit"), "--master", "local-cluster[2,1,512]"]
    for name, value in options.items():
        command += ["--conf", f"{name}={value}"]
    command += ["--class", "org.apache.spark.sql.connect.service.SparkConnectServer"]
    with (home / "server.log").open("wb") as log:
        started = {**environment(), "SPARK_WORKER_DIR": str(home / "work"), **env}
        process = subprocess.Popen(command, cwd=home, env=started, stdout=log, stderr=log, start_new_session=True)
    try:
        wait_for(port, process)
        yield f"sc://{HOST}:{port}"
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
