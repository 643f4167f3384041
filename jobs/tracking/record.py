"""A run of a job as a run of MLflow. Runs on the driver."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

from jobs.references import mask, reveal
from jobs.tracking import datasets, traces
from jobs.tracking.models import logged_model

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from jobs.definition import JobDefinition
    from jobs.page.render import Page
    from jobs.summary import Summary

log = logging.getLogger("embercast")

#: The page of a run, among its artifacts.
PAGE: Final = "run.html"
#: Names the server. Where it is unset nothing is told to anyone.
SERVER: Final = "MLFLOW_TRACKING_URI"
_LOGIN: Final = re.compile(r"(?<=://)[^/@\s]+@")


class Record:
    """A run of MLflow that is open while a job runs, where MLFLOW_TRACKING_URI names a server; nothing elsewhere.

    Open from the start, so that MLflow samples the driver's machine meanwhile and shows runs that failed; what the run
    did is told when it is done, in a handful of calls. What MLflow does not take is said in the log and fails nothing:
    the rows are in the sink.

    Args:
        definition: the job.
        spark: with Delta.
    """

    def __init__(self, definition: JobDefinition, spark: SparkSession) -> None:
        self._definition = definition
        self._spark = spark
        self._run: Any = None

    def __enter__(self) -> Self:
        asked = self._definition.tracking
        if os.environ.get(SERVER):
            with _said("the run goes on, and is told to MLflow when it is done"):
                self._open()
        elif asked.traces or asked.system_metrics:
            log.warning("tracking: expected %s to name a server, it is unset: nothing is told to MLflow", SERVER)
        return self

    def done(self, summary: Summary, page: Page | None = None) -> None:
        """Tells MLflow what was done, with its page. Raises nothing: what went wrong stands in the log."""
        if not os.environ.get(SERVER):
            return
        with _said(
            f"run {summary.run_id} is done and its rows are in the sink; MLflow does not have all of its record"
        ):
            if self._run is None:
                self._open()
            self._tell(summary, page)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._run is None:
            return
        import mlflow

        with _said("MLflow shows the run as running"):
            if kind is not None:  # the message may be Spark's, which may quote rows
                mlflow.set_tag("embercast.error", kind.__name__)
            mlflow.end_run(_status(kind))

    def _open(self) -> None:
        import mlflow

        self._run = mlflow.start_run(
            run_name=self._definition.name,
            tags={"embercast.identity": self._definition.identity},
            nested=True,
            log_system_metrics=self._definition.tracking.system_metrics,
        )

    def _tell(self, summary: Summary, page: Page | None) -> None:
        """What matters most comes first: the first call that fails is the last."""
        import mlflow

        numbers, words = split(summary.as_dict())
        mlflow.log_params(words, synchronous=True)
        model = logged_model(reveal(summary.model))
        mlflow.log_metrics(numbers, model_id=model, synchronous=True)  # links the model as the run's input, too
        for context, dataset in datasets.touched(self._spark, self._definition, summary).items():
            mlflow.log_input(dataset, context=context)
        traces.tell(self._spark, self._definition, summary, run=self._run.info, model=model)
        if page is not None and self._definition.tracking.page:
            mlflow.log_text(page.html(summary), PAGE, run_id=self._run.info.run_id)


def split(values: Any, prefix: str = "") -> tuple[dict[str, float], dict[str, str]]:
    """Numbers and words of nested mappings, by dotted names: MLflow's metrics and parameters."""
    numbers: dict[str, float] = {}
    words: dict[str, str] = {}
    for name, value in values.items():
        if isinstance(value, dict):
            inner = split(value, f"{prefix}{name}.")
            numbers |= inner[0]
            words |= inner[1]
        elif isinstance(value, int | float):
            numbers[prefix + name] = float(value)
        elif value is not None:
            words[prefix + name] = str(value)
    return numbers, words


def _status(kind: type[BaseException] | None) -> str:
    if kind is None:
        return "FINISHED"
    return "FAILED" if issubclass(kind, Exception) else "KILLED"


@contextmanager
def _said(what: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # whatever it is that stops a record, it may not stop the job that it is of
        log.warning("%s (%s)", what, words(error))


def words(error: Exception) -> str:
    """The first line of an error; of Spark's, which may quote rows, its name."""
    name = type(error).__name__
    if type(error).__module__.partition(".")[0] in ("pyspark", "py4j"):
        return name
    first, *_ = str(error).splitlines() or [""]
    return f"{name}: {_LOGIN.sub('', mask(first))}"
