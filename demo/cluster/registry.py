"""An MLflow server that keeps its tables in PostgreSQL and serves its artifacts: clients see neither."""

from __future__ import annotations

import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

from demo.cluster import database
from demo.cluster.ports import HOST, PATIENCE, taken
from demo.cluster.processes import Processes, Started
from demo.place import Unfit


def start(processes: Processes, home: Path, *, port: int = 0) -> str:
    """Starts PostgreSQL and MLflow on what lies in ``home``. Returns MLflow's URL, once it answers.

    Args:
        processes: what stops them.
        home: keeps the database and the artifacts from one start to the next.
        port: 0 takes any free one.

    Raises Unfit where either can't start.
    """
    port = taken(port, "MLflow")
    env = {
        "MLFLOW_BACKEND_STORE_URI": database.start(processes, home / "database"),  # arguments are for all to see
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",  # one process in place of five
    }
    on = ("--host", HOST, "--port", str(port), "--workers", "1", "--artifacts-destination", str(home / "artifacts"))
    url = f"http://{HOST}:{port}"
    _wait_for(url, processes.start("mlflow", [sys.executable, "-m", "mlflow", "server", *on], env=env))
    return url


def _wait_for(url: str, started: Started) -> None:
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        started.check()
        try:
            with urllib.request.urlopen(f"{url}/health", timeout=5):
                return
        except (urllib.error.URLError, ConnectionError, TimeoutError):  # it is not yet there
            time.sleep(0.2)
    raise Unfit(f"expected MLflow to answer at {url} within {PATIENCE:.0f} s, it does not: see {started.log}")
