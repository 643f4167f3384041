"""``python -m demo.cluster``: Spark's master, two workers, and MLflow on PostgreSQL, until Ctrl-C stops all of it."""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path

from demo.cluster import registry
from demo.cluster.foreground import hold, until_stopped
from demo.cluster.standalone import cluster
from demo.place import FOLDER


def main() -> int:
    """Starts the cluster and holds it. Returns the exit code."""
    asked = _parser().parse_args()
    return until_stopped(lambda: _run(asked))


def _run(asked: argparse.Namespace) -> None:
    with cluster(asked.home / "spark", port=asked.port, ui_port=asked.ui_port) as spark:
        url = registry.start(spark.processes, asked.home, port=asked.registry_port)
        _tell(asked.home, {"EMBERCAST_MASTER": spark.master, "MLFLOW_TRACKING_URI": url})
        hold(spark.processes)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m demo.cluster", description=__doc__)
    parser.add_argument("--home", type=Path, default=FOLDER / "cluster", help="keeps logs, database and artifacts")
    parser.add_argument("--port", type=int, default=7077, help="of Spark's master; 0 takes a free one")
    parser.add_argument("--ui-port", type=int, default=8080, help="of the master's page; 0 takes a free one")
    parser.add_argument("--registry-port", type=int, default=5000, help="of MLflow; 0 takes a free one")
    return parser


def _tell(home: Path, variables: dict[str, str]) -> None:
    """Says what runs, and writes what finds it into a file for shells."""
    variables["PYSPARK_PYTHON"] = sys.executable
    lines = [f"export {name}={shlex.quote(value)}\n" for name, value in variables.items()]
    (home / "env").write_text("".join(lines), encoding="utf-8")
    print(f"Spark at {variables['EMBERCAST_MASTER']}, MLflow at {variables['MLFLOW_TRACKING_URI']}")
    print(f"elsewhere: . {home / 'env'}; here: Ctrl-C stops all of it", flush=True)


if __name__ == "__main__":
    sys.exit(main())
