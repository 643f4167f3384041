"""Definitions as Airflow's DAGs and tasks. Imported by Airflow's Python, which has no Spark and no model in it.

``spark-submit`` runs on Airflow's worker, and with it the job's driver: the exit code, the summary and the environment
with its secrets are the worker's own.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Literal

from airflow.providers.apache.spark.operators.spark_submit import SparkSubmitOperator
from airflow.sdk import DAG, Asset, Connection, CronTriggerTimetable
from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowSkipException
from airflow.sdk.log import mask_secret, redact

from jobs.errors import DefinitionError
from jobs.schedules import Scheduled, due, read, read_all
from jobs.settings import SECRET, Schedule

#: Exit codes (jobs.errors) after which another try would end well and hide why the first one didn't: its rows are
#: scored, and the next run begins behind them.
_OVER_BUDGET: Final = 3
_OVER_LIMIT: Final = 5
_NOT_SUBMITTED: Final = -1
_MARKED: Final = {"fail": AirflowFailException, "skip": AirflowSkipException}


def dags_from(folder: str | Path, **options: Any) -> dict[str, DAG]:
    """A DAG for each definition of a folder that has a schedule, named like the job; its one task is ``score``.

    Args:
        folder: of job definitions.
        options: for every task: those of ScoreTask.

    A definition with ``schedule.cron`` runs by it. One without runs whenever the job has run whose sink is its source.
    Every DAG does one run at a time and makes up for no run that was missed: the next one scores what is new.

    Raises DefinitionError with everything that is wrong in the names, places and schedules of the folder.
    """
    return {job.name: _dag(job, options) for job in due(read_all(Path(folder)))}


def _dag(job: Scheduled, options: Mapping[str, Any]) -> DAG:
    schedule = job.schedule or Schedule()
    when = (
        CronTriggerTimetable(schedule.cron, timezone=schedule.timezone) if schedule.cron else [Asset(name=job.source)]
    )
    told = {"description": f"{job.source} → {job.sink}", "tags": ["embercast"]}
    with DAG(dag_id=job.name, schedule=when, catchup=False, max_active_runs=1, **told) as dag:  # `with` registers it
        ScoreTask(task_id="score", job=job, **options)
    return dag


class ScoreTask(SparkSubmitOperator):
    """Runs a job by ``spark-submit``; returns its summary (XCom ``return_value``) and updates the asset of its sink.

    Args:
        job: the definition's file.
        variables: values of ``${var:NAME}``, templated: ``{"ds": "{{ ds }}"}``. They go over the definition's.
        secrets: environment variable → ``CONNECTION.FIELD``, with login, password, host, port, schema or extra.KEY.
            They go over the definition's, to the driver's environment alone, and are masked in logs.
        over_budget: what the task is marked as where more rows failed than ``errors.max_fraction`` allows: fail, skip
            or succeed; left out, as the definition says.
        summaries: a folder that Airflow's worker and the driver both see.
        application: a ``jobs/run.py``; left out, that beside this file.
        application_args: more options of it, such as ``--retry-failed``.
        options: of SparkSubmitOperator.

    Raises DefinitionError where the definition can't be read, or lacks the value of a variable.
    """

    template_fields: Sequence[str] = (*SparkSubmitOperator.template_fields, "summary")

    def __init__(
        self,
        *,
        job: str | Path | Scheduled,
        variables: Mapping[str, str] | None = None,
        secrets: Mapping[str, str] | None = None,
        over_budget: Literal["fail", "skip", "succeed"] | None = None,
        summaries: str | None = None,
        application: str | None = None,
        application_args: Sequence[str] = (),
        **options: Any,
    ) -> None:
        found = job if isinstance(job, Scheduled) else read(Path(job))
        schedule = found.schedule or Schedule()
        values = _complete(found, {**schedule.variables, **(variables or {})})
        self.summary = f"{summaries or tempfile.gettempdir()}/embercast-{{{{ ti.id }}}}.json"
        if found.schedule is not None:
            options.setdefault("retries", schedule.retries)
        super().__init__(
            application=application or _application(),
            application_args=["--job", str(found.file), *values, "--summary", self.summary, *application_args],
            **{"name": found.name, "outlets": [Asset(name=found.sink)], **options},
        )
        self.over_budget = over_budget or schedule.over_budget
        self.secrets = {**schedule.secrets, **(secrets or {})}

    def execute(self, context: Any) -> dict[str, Any]:
        """Runs on Airflow's worker. Exit codes 3 and 5 end the task; any other but 0 is an error that is retried."""
        self._check_connection()
        code, said = self._submit(context)
        if code == _OVER_LIMIT:
            raise AirflowFailException(
                f"{self.name}: a limit of the definition was reached, the log says which; the next run goes on from "
                "there, this one is not tried again"
            )
        if code not in (0, _OVER_BUDGET):
            raise AirflowException(said)
        summary = self._read_summary()
        if code == _OVER_BUDGET and self.over_budget != "succeed":
            context["ti"].xcom_push(key="return_value", value=summary)
            raise _MARKED[self.over_budget](
                f"{self.name}: {summary['failed']:,} of {summary['rows']:,} rows failed, more than errors.max_fraction "
                f"allows; they are those of {summary['sink']} where {summary['failed_where']}"
            )
        told = {name: summary[name] for name in ("run_id", "rows", "failed", "sink_version")}
        for asset in self.outlets:
            context["outlet_events"][asset].extra.update(told)
        return summary

    def _submit(self, context: Any) -> tuple[int, str]:
        """The exit code, and what Airflow says of one that is not 0: the log's last lines, with secrets masked.

        Nothing is raised of it here: an exception takes along the one that it was raised beside, to callbacks that mask
        nothing.
        """
        self._hook = self._get_hook()
        secrets = {name: _revealed(place) for name, place in self.secrets.items()}
        try:
            with _environment(secrets):
                super().execute(context)
        except AirflowException as error:
            process = self._hook._submit_sp
            return (process.returncode if process else 0) or _NOT_SUBMITTED, str(redact(str(error)))
        return 0, ""

    def _read_summary(self) -> dict[str, Any]:
        path = Path(self.summary)
        try:
            told: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise AirflowFailException(
                f"{self.name}: expected the run's summary at {path}, got {error.strerror}; its rows are in the sink. "
                "Where the driver has another disk, write summaries= a folder that both see"
            ) from error
        path.unlink()
        return told

    def _check_connection(self) -> None:
        """SparkSubmitHook takes YARN where there is no such connection; a driver elsewhere tells no exit code."""
        connection = Connection.get(self._conn_id)
        mode = self._deploy_mode or connection.extra_dejson.get("deploy-mode") or "client"
        if mode != "client":
            raise AirflowFailException(
                f"expected deploy-mode client for {self.name}, got {mode} for the connection {self._conn_id}: its "
                "exit code would not come back. Remove it, or submit jobs/run.py by a SparkSubmitOperator"
            )


def _complete(job: Scheduled, values: Mapping[str, str]) -> list[str]:
    """The options that give the variables their values."""
    missing = sorted(job.variables - set(values))
    if missing:
        hint = f'write schedule: {{variables: {{{missing[0]}: "{{{{ ds }}}}"}}}}, or variables= of ScoreTask'
        expected = f"a value for ${{var:{missing[0]}}}"
        raise DefinitionError([job.problem("schedule.variables", expected, "none", hint)])
    return [part for name in sorted(job.variables) for part in ("--var", f"{name}={values[name]}")]


def _application() -> str:
    """Python puts the folder above it first on the driver's path: it must hold nothing of Airflow's environment."""
    application = Path(__file__).with_name("run.py")
    if (application.parent.parent / "airflow").is_dir():
        raise ImportError(
            f"expected embercast in a folder of its own, got {application.parent.parent}, which holds Airflow too: pip "
            "install --no-deps --target another folder and name it in PYTHONPATH, or write application="
        )
    return str(application)


def _revealed(place: str) -> str:
    """The value of ``CONNECTION.FIELD``. Raises AirflowFailException where the connection has no such field."""
    match = SECRET.match(place)
    if match is None:
        raise AirflowFailException(f"expected CONNECTION.FIELD as a secret, got {place}: write mails.password")
    connection = Connection.get(match["connection"])
    field, _, key = match["field"].partition(".")
    value = connection.extra_dejson.get(key) if key else getattr(connection, field)
    if not value:
        raise AirflowFailException(
            f"expected a value in the {match['field']} of the connection {match['connection']}, it is empty"
        )
    mask_secret(str(value))
    return str(value)


@contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Within the block they are in this process's environment, and so in that of the processes it starts."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
