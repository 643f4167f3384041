"""Why a run would be refused if it were started now: looked at, neither taken nor written. Runs on the driver."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from jobs import changes, tables
from jobs.epochs import Epochs, target
from jobs.errors import RunError
from jobs.lease import check_free
from jobs.storage import job_folder

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from jobs.definition import JobDefinition


def obstacles(spark: SparkSession, definition: JobDefinition) -> Iterator[str]:
    """What ``run`` would say, a message for each reason: a run under way, progress lost, a source changed.

    Args:
        spark: with Delta.
        definition: the job.
    """
    if not tables.sink_exists(spark, definition):
        return
    folder = job_folder(spark, definition, tables.location_of(spark, definition.sink.delta))
    schema, epochs = tables.read_rows(spark, definition).schema, Epochs.read(folder)
    checkpoint = epochs.scoring.checkpoint
    place = target(definition, folder, epochs)
    looks: tuple[Callable[[], object], ...] = (
        lambda: check_free(folder),
        lambda: changes.check_progress(spark, folder, checkpoint, place, definition),
        lambda: changes.check_schema(folder, schema, definition),
        lambda: changes.check_files(spark, folder, checkpoint, definition),
        lambda: changes.check_commits(spark, folder, checkpoint, definition),
    )
    for look in looks:
        try:
            look()
        except RunError as error:
            yield str(error)
