"""Some of the answers of a job that chats, as MLflow's traces. Runs on the driver.

The rows are taken from the sink by the hash of their key, so that which ones they are hangs on nothing else. What was
asked and answered is read only where the definition says so; without that it does not leave the executors.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from engine.chat.messages import Message, parsed, read_messages
from engine.errors import ParameterError, RowError
from jobs import tables
from jobs.settings import TRACED

if TYPE_CHECKING:
    from pyspark.sql import Column, Row, SparkSession

    from jobs.definition import JobDefinition
    from jobs.summary import Summary

log = logging.getLogger("embercast")

_ANSWER: Final = "answer"
_AT: Final = "at"
_KEY: Final = "key"
_ASKED: Final = "asked"
#: usage of a ChatCompletion → what MLflow calls it.
_USAGE: Final = {
    "prompt_tokens": "input_tokens",
    "completion_tokens": "output_tokens",
    "total_tokens": "total_tokens",
}


def check(definition: JobDefinition, task: str) -> None:
    """Raises ParameterError where traces are asked of a model that does not chat. ``task`` is the model's."""
    if definition.tracking.traces and task != TRACED:
        raise ParameterError(
            f"tracking.traces: expected a model of {TRACED}, whose answers are traced; {definition.model} is scored "
            f"for {task}: remove it"
        )


def tell(spark: SparkSession, definition: JobDefinition, summary: Summary, *, run: Any, model: str | None) -> None:
    """Gives MLflow a trace for each of ``tracking.traces`` rows of this run, fewer where there are fewer.

    Args:
        spark: with Delta.
        definition: the job.
        summary: of the run, whose rows are in the sink.
        run: MLflow's run info; the traces belong to it.
        model: the logged model's id, where there is one.
    """
    wanted = definition.tracking.traces
    if not wanted or not summary.rows:
        return
    import mlflow

    rows = _answers(spark, definition, summary.run_id)
    asked = _asked(spark, definition, rows) if definition.tracking.trace_text else {}
    links = {"mlflow.sourceRun": run.run_id, **({"mlflow.modelId": model} if model else {})}
    for row in rows:
        _trace(row, asked.get(repr(row[_KEY])), experiment=run.experiment_id, links=links)
    mlflow.flush_trace_async_logging()
    kept = mlflow.search_traces(
        locations=[run.experiment_id], run_id=run.run_id, return_type="list", include_spans=False
    )
    if len(kept) < len(rows):  # MLflow sends them in the background and tells nobody what was lost
        log.warning("MLflow has %d of the %d traces of run %s", len(kept), len(rows), summary.run_id)


def messages(text: str | None, *, plain: bool) -> list[Message] | None:
    """What a row asked: a text that a user says, or JSON; None where it is no conversation, as the row's error says."""
    if text is None:
        return None
    if plain:
        return [{"role": "user", "content": text}]
    try:
        value = parsed(text)
        return read_messages(value.get("messages") if isinstance(value, dict) else value)
    except RowError:
        return None


def _answers(spark: SparkSession, definition: JobDefinition, run_id: str) -> list[Row]:
    """key, answer and at (nanoseconds since 1970) of rows of the run; null inputs have no answer."""
    from pyspark.sql import functions as f

    sink = tables.read_sink(spark, definition)
    assert sink is not None
    key = [f.col(f"`{name}`") for name in definition.source.row_key]
    answer = f.col(f"`{definition.sink.output}`")
    rows = sink.where((f.col("_run_id") == run_id) & answer.isNotNull())
    chosen = rows.orderBy(f.xxhash64(*key)).limit(definition.tracking.traces)
    shown = _shown(answer, text=definition.tracking.trace_text).alias(_ANSWER)
    return list(chosen.select(f.struct(*key).alias(_KEY), shown, f.unix_micros("_scored_at").alias(_AT)).collect())


def _shown(answer: Column, *, text: bool) -> Column:
    """The answer without log-probabilities, which spell the text at many times its length, and mostly without text."""
    from pyspark.sql import functions as f

    dropped = ["logprobs"] if text else ["logprobs", "message"]
    shown = answer.withField("choices", f.transform(answer["choices"], lambda choice: choice.dropFields(*dropped)))
    return shown if text else shown.dropFields("turns")


def _asked(spark: SparkSession, definition: JobDefinition, rows: Sequence[Row]) -> dict[str, list[Message] | None]:
    """Of each row's key what it asked, read from the source as it is now."""
    from pyspark.sql import functions as f
    from pyspark.sql.types import StringType, StructType

    names = definition.source.row_key
    sink = tables.read_sink(spark, definition)
    assert sink is not None
    keys = spark.createDataFrame([tuple(row[_KEY]) for row in rows], StructType([sink.schema[name] for name in names]))
    found = tables.read_these(spark, definition, keys)
    column = definition.request(TRACED).inputs["messages"]
    text = isinstance(found.schema[column].dataType, StringType)
    value = f.col(f"`{column}`") if text else f.to_json(f.col(f"`{column}`"))
    key = f.struct(*(f.col(f"`{name}`") for name in names))
    asked = found.select(key.alias(_KEY), value.alias(_ASKED)).dropDuplicates([_KEY])
    plain = text and definition.params.get("strings", "text") == "text"
    return {repr(row[_KEY]): messages(row[_ASKED], plain=plain) for row in asked.collect()}


def _trace(row: Row, asked: list[Message] | None, *, experiment: str, links: dict[str, str]) -> None:
    """One span that takes no time: rows are answered together, and how long one took is not known."""
    import mlflow
    from mlflow.entities import SpanType

    answer = row[_ANSWER].asDict(recursive=True)
    error = answer.pop("error")
    at = row[_AT] * 1000
    usage = answer["usage"] or {}
    told = {"embercast.error.code": error["code"], "embercast.error.message": error["message"]} if error else {}
    counted = {name: usage[key] for key, name in _USAGE.items() if usage.get(key) is not None}
    span = mlflow.start_span_no_context(
        "chat",
        span_type=SpanType.CHAT_MODEL,
        inputs={"messages": asked} if asked else None,
        attributes={**told, **({"mlflow.chat.tokenUsage": counted} if counted else {})},
        metadata=links,
        experiment_id=experiment,
        start_time_ns=at,
    )
    span.end(outputs=None if error else answer, status="ERROR" if error else "OK", end_time_ns=at)
