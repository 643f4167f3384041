"""``python -m demo.cluster``: Spark's master, two workers, and MLflow on PostgreSQL, until Ctrl-C stops all of it."""

from __future__ import annotations

import argparse
import shlex
import signal
import sys
import time
from pathlib import Path
from types import FrameType
from typing import Final

from demo.cluster import registry
from demo.cluster.processes import Processes
from demo.cluster.standalone import cluster
from demo.place import FOLDER, Unfit

ENDING: Final = (signal.SIGINT, signal.SIGTERM)


def main() -> int:
    """Starts the cluster and holds it. Returns the exit code: 0 once it was stopped, 2 where it can't start."""
    asked = _parser().parse_args()
    for one in ENDING:
        signal.signal(one, _end)
    try:
        with cluster(asked.home / "spark", port=asked.port, ui_port=asked.ui_port) as spark:
            url = registry.start(spark.processes, asked.home, port=asked.registry_port)
            _tell(asked.home, {"EMBERCAST_MASTER": spark.master, "MLFLOW_TRACKING_URI": url})
            _hold(spark.processes)
    except KeyboardInterrupt:
        print("stopped", flush=True)
    except Unfit as unfit:
        print(unfit, file=sys.stderr)
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m demo.cluster", description=__doc__)
    parser.add_argument("--home", type=Path, default=FOLDER / "cluster", help="keeps logs, database and artifacts")
    parser.add_argument("--port", type=int, default=7077, help="of Spark's master; 0 takes a free one")
    parser.add_argument("--ui-port", type=int, default=8080, help="of the master's page; 0 takes a free one")
    parser.add_argument("--registry-port", type=int, default=5000, help="of MLflow; 0 takes a free one")
    return parser


def _end(number: int, frame: FrameType | None) -> None:
    for one in ENDING:
        signal.signal(one, signal.SIG_IGN)  # a second Ctrl-C would leave processes behind
    raise KeyboardInterrupt


def _tell(home: Path, variables: dict[str, str]) -> None:
    """Says what runs, and writes what finds it into a file for shells."""
    variables["PYSPARK_PYTHON"] = sys.executable
    lines = [f"export {name}={shlex.quote(value)}\n" for name, value in variables.items()]
    (home / "env").write_text("".join(lines), encoding="utf-8")
    print(f"Spark at {variables['EMBERCAST_MASTER']}, MLflow at {variables['MLFLOW_TRACKING_URI']}")
    print(f"elsewhere: . {home / 'env'}; here: Ctrl-C stops all of it", flush=True)


def _hold(processes: Processes) -> None:
    """Until a signal comes. A process that ends meanwhile is told, and the others go on."""
    ended = set()
    while True:
        time.sleep(1)
        for one in processes.started:
            if one.process.poll() is not None and one.name not in ended:
                ended.add(one.name)
                print(f"{one.name} ended with {one.process.returncode}: see {one.log}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
