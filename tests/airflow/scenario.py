"""What Airflow's own Python does for these tests: reads the DAGs, runs those that are asked for, and says what became
of them, as JSON in the file that $TOLD names. ``python scenario.py DAG_ID…``.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import airflow

HEAVY = {"pyspark", "py4j", "torch", "transformers", "mlflow", "pandas", "pyarrow"}


def main(asked: list[str]) -> None:
    from airflow.dag_processing.dagbag import DagBag
    from airflow.sdk.log import configure_logging
    from airflow.utils.db import initdb

    configure_logging()  # as a worker does: DAG.test() would leave secrets as they are
    initdb()
    bag = DagBag()
    told: dict[str, Any] = {
        "errors": bag.import_errors,
        "heavy": sorted({module.partition(".")[0] for module in sys.modules} & HEAVY),
        "dags": {name: described(dag) for name, dag in bag.dags.items()},
        "refused": refused() if asked else {},
        "runs": {name: became(bag.dags[name].test()) for name in asked},
    }
    told["events"] = events()
    told["next"] = {name: due(name) for name in asked}
    Path(os.environ["TOLD"]).write_text(json.dumps(told, default=str), encoding="utf-8")


def refused() -> dict[str, str]:
    """What is said of a job without the value of a variable, and of an embercast among Airflow's own packages."""
    from jobs import dags

    folder = Path(os.environ["AIRFLOW_HOME"]) / "dags"
    told, own = {}, dags.__file__
    try:
        dags.ScoreTask(task_id="score", job=folder / "ends" / "2.yaml")
    except dags.DefinitionError as error:
        told["variable"] = str(error)
    dags.__file__ = str(Path(airflow.__file__).parent.parent / "jobs" / "dags.py")
    try:
        dags.ScoreTask(task_id="score", job=folder / "jobs" / "reviews.yaml")
    except ImportError as error:
        told["place"] = str(error)
    dags.__file__ = own
    return told


def described(dag: Any) -> dict[str, Any]:
    """When a DAG runs, and what its tasks are."""
    condition = getattr(dag.timetable, "asset_condition", None)
    return {
        "timetable": type(dag.timetable).__name__,
        "cron": getattr(dag.timetable, "expression", None),
        "timezone": str(getattr(dag.timetable, "timezone", None)),
        "after": [asset.name for asset in condition.objects] if condition else [],
        "tasks": {
            task.task_id: {"retries": task.retries, "outlets": [asset.name for asset in task.outlets]}
            for task in dag.tasks
        },
    }


def became(run: Any) -> dict[str, Any]:
    """States, tries and results of a run's tasks."""
    from airflow.models.xcom import XComModel
    from airflow.utils.session import create_session

    with create_session() as session:
        query = XComModel.get_many(run_id=run.run_id, key="return_value", dag_ids=run.dag_id)
        results = {one.task_id: XComModel.deserialize_value(one) for one in session.scalars(query)}
    return {
        "state": str(run.state),
        "tasks": {
            one.task_id: {
                "state": str(one.state),
                "tries": one.try_number,
                "result": results.get(one.task_id),
            }
            for one in run.get_task_instances()
        },
    }


def events() -> dict[str, Any]:
    """Asset → what the tasks that updated it said."""
    from airflow.models.asset import AssetEvent
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        found = session.scalars(select(AssetEvent)).all()
        return {one.asset.name: one.extra for one in found}


def due(name: str) -> Any:
    """When the scheduler would run it next."""
    from airflow.models.dag import DagModel

    return DagModel.get_current(name).next_dagrun


if __name__ == "__main__":
    main(sys.argv[1:])
