"""``python -m demo.schedule``: from nothing to a table that Airflow has scored every two minutes, until Ctrl-C.

A Spark cluster, MLflow on PostgreSQL, a model, a table of reviews, and Airflow with the job of
``conf/jobs/reviews.yaml``.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any, Final

from demo.cluster import Cluster, cluster, registry
from demo.cluster.foreground import hold, until_stopped
from demo.cluster.ports import HOST, taken, wait_for
from demo.place import FOLDER, ROOT, Unfit, check, start_afresh

AIRFLOW: Final = ROOT / ".airflow" / "bin" / "airflow"
PORT: Final = 8090  # Spark's page has Airflow's own
#: The file that Airflow reads, and the definition in the folder beside it.
DAGS: Final = ROOT / "conf" / "airflow" / "dags" / "embercast.py"
JOB: Final = ROOT / "conf" / "jobs" / "reviews.yaml"
WHEN: Final = "*/2 * * * *"


def main() -> int:
    """Starts all of it and holds it. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m demo.schedule", description=__doc__)
    parser.add_argument("--home", type=Path, default=FOLDER / "schedule", help="keeps logs and databases")
    home = parser.parse_args().home.resolve()
    os.chdir(ROOT)
    return until_stopped(lambda: _run(home))


def _run(home: Path) -> None:
    check()
    _check_airflow()
    start_afresh()
    with cluster(home / "spark", ui_port=0) as spark:
        url = registry.start(spark.processes, home)
        _prepare(url)
        page = start_airflow(spark, home / "airflow", url)
        print(f"Airflow at {page} (user admin, password {_password(home)}), MLflow at {url}")
        print("it scores .demo/tables/reviews every two minutes; Ctrl-C stops all of it", flush=True)
        hold(spark.processes)


def _check_airflow() -> None:
    if not AIRFLOW.exists():
        raise Unfit(f"expected Airflow at {AIRFLOW}, there is none: make airflow")


def _prepare(url: str) -> None:
    """The model on the server, and the table."""
    from demo import prepare, tables
    from demo.reviews import read, split
    from jobs.session import session

    os.environ["MLFLOW_TRACKING_URI"] = url
    reviews = split(read())
    prepare.log_models(reviews.fit, ["sentiment"])
    spark = session("embercast demo")
    try:
        tables.append(spark, reviews.first)
    finally:
        spark.stop()


def start_airflow(spark: Cluster, home: Path, url: str, *, port: int = PORT) -> str:
    """Starts Airflow with the job's DAG on the cluster. Returns the address of its page, once it listens.

    Args:
        spark: the cluster, which stops it, too.
        home: Airflow's own folder.
        url: of MLflow.
        port: 0 takes any free one.
    """
    port = taken(port, "Airflow")
    write_dags(home / "dags")
    env = environment(home, spark.master, port=port) | {"MLFLOW_TRACKING_URI": url}
    started = spark.processes.start("airflow", [str(AIRFLOW), "standalone"], env=env)
    wait_for(port, started, patience=300)  # four processes that import much, at once
    return f"http://{HOST}:{port}"


def write_dags(folder: Path) -> None:
    """Airflow's folder: the job that ``make demo`` runs, with a schedule, its paths as Airflow's worker sees them."""
    import yaml

    job: dict[str, Any] = yaml.safe_load(JOB.read_text(encoding="utf-8"))
    for place in (job["source"], job["sink"]):
        place["path"] = str(ROOT / place["path"])
    job["schedule"] = {"cron": WHEN, "retries": 1}
    (folder / "jobs").mkdir(parents=True, exist_ok=True)
    (folder / "jobs" / JOB.name).write_text(yaml.safe_dump(job, sort_keys=False), encoding="utf-8")
    (folder / DAGS.name).write_text(DAGS.read_text(encoding="utf-8"), encoding="utf-8")


def environment(home: Path, master: str, *, port: int) -> dict[str, str]:
    """Of Airflow, over this process's own: where it lives, its cluster, and the ``spark-submit`` of this Python."""
    from jobs import jars

    defaults = f"spark.jars {','.join(map(str, jars.wanted()))}\nspark.executor.memory 1g\n"
    (home / "spark-defaults.conf").write_text(defaults, encoding="utf-8")
    host, _, number = master.removeprefix("spark://").partition(":")
    return {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW_CONN_SPARK_DEFAULT": json.dumps(
            {"conn_type": "spark", "host": f"spark://{host}", "port": int(number)}
        ),
        "AIRFLOW__API__HOST": HOST,
        "AIRFLOW__API__PORT": str(port),
        "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "false",
        "AIRFLOW__CORE__DAGS_FOLDER": str(home / "dags"),
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"http://{HOST}:{port}/execution/",
        "AIRFLOW__CORE__LOAD_EXAMPLES": "false",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(home / "passwords.json"),
        # spark-submit is this Python's, airflow the other's
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), str(AIRFLOW.parent), os.environ["PATH"]]),
        "PYSPARK_PYTHON": sys.executable,
        "PYTHONPATH": str(ROOT),
        "SPARK_CONF_DIR": str(home),
        "SPARK_LOCAL_IP": HOST,
    }


def _password(home: Path) -> str:
    return str(json.loads((home / "airflow" / "passwords.json").read_text(encoding="utf-8"))["admin"])


if __name__ == "__main__":
    sys.exit(main())
