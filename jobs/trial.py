"""A few rows scored on one executor before the table is: how fast it is, and what half precision changes.

Runs on the driver, which starts the Spark jobs; the rows it takes are bounded.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from engine.device import Choice
from engine.models.bundle import make_bundle
from engine.tasks import task_class
from engine.tasks.audio import AudioTask
from jobs import bounds, seeds, tables, writing
from jobs.hearing import Lengths, heard, shortened
from jobs.references import reveal
from jobs.resolved import Resolved
from jobs.summary import Audio, Planned, Writing
from udfs.scoring import score
from udfs.weights import ship

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame, SparkSession

#: Rows of a trial: enough for a full micro-batch of short texts, seconds of work for long ones.
ROWS: Final = 64
#: The column of results.
RESULT: Final = "__embercast_result"
_STATS: Final = "__embercast_stats"
_ANY: Final = 1 << 40


@dataclass(frozen=True)
class Taken:
    """The rows of a trial.

    Args:
        resolved: the job, whose task hears no more of a recording, and writes no longer texts, than a trial should.
        rows: the columns that scoring reads and the key.
        lengths: of the first recordings; None for a task without.
        short: what bounds the texts; None for a task that writes none.
    """

    resolved: Resolved
    rows: pa.Table
    lengths: Lengths | None = None
    short: bounds.Shortened | None = None


@dataclass(frozen=True)
class Trial:
    """Rows scored on one executor.

    Args:
        results: a struct a row, as Python values.
        rows_per_s: distinct rows by the seconds of one warm worker.
        load_s: seconds until the model was ready in a worker that did not have it; 0 where it had.
        speed: seconds of audio by the seconds of one warm worker; 0 without audio.
        texts: what was written; None for a task that writes none.
        written_per_s: tokens of it by the seconds of one warm worker.
    """

    results: list[dict[str, Any] | None]
    rows_per_s: float
    load_s: float
    speed: float = 0.0
    texts: writing.Texts | None = None
    written_per_s: float = 0.0


NONE: Final = Trial([], 0.0, 0.0)


def take(spark: SparkSession, resolved: Resolved, count: int = ROWS) -> Taken:
    """The first rows of the source with all required inputs; of recordings, those that minutes of audio hold.

    Fewer where texts are written, which are bounded.
    """
    first = _first(spark, resolved, count)
    if not issubclass(task_class(resolved.model.task), AudioTask):
        if bounds.limit_of(resolved.model.task) is None:
            return Taken(resolved, first.toArrow())
        short = bounds.shortened(resolved, first.limit(min(count, bounds.rows_of(resolved))).toArrow())
        return Taken(short.resolved, short.rows, short=short)
    rows, lengths = heard(first, resolved)
    return Taken(shortened(resolved), rows, lengths)


def score_first(spark: SparkSession, resolved: Resolved, count: int) -> pa.Table:
    """The keys and the structs (``RESULT``) of the first rows of the source with all required inputs.

    Scored on one executor. The rows themselves, which may be recordings, do not come to the driver.
    """
    key = resolved.definition.source.row_key
    given = seeds.add(_first(spark, resolved, count), resolved.model, key).coalesce(1)
    scored = score(given, model=resolved.model, input=resolved.inputs, output=RESULT)
    return scored.select(*key, RESULT).toArrow()


def try_out(spark: SparkSession, taken: Taken) -> Trial:
    """Scores the rows twice in one task: the first time loads and warms up, the second is measured."""
    import pyarrow as pa

    resolved, rows = taken.resolved, taken.rows
    if not rows.num_rows:
        return NONE
    compute = replace(resolved.model.compute, window_rows=rows.num_rows, window_bytes=_ANY)
    windowed = replace(resolved, model=replace(resolved.model, compute=compute))
    results, stats = _score(spark, windowed, pa.concat_tables([rows, rows]))
    first, second = _halves(stats, rows.num_rows)
    distinct = second["rows"] - second["nulls"] - second["duplicates"]
    seconds = seconds_of(second, resolved.model.device.value)
    results = results[rows.num_rows :]
    return Trial(
        results,
        distinct / seconds,
        first["load_s"],
        second["audio_s"] / seconds,
        texts=None if taken.short is None else writing.count(results, taken.short),
        written_per_s=second["written_tokens"] / seconds,
    )


def score_rows(spark: SparkSession, resolved: Resolved, rows: pa.Table) -> list[dict[str, Any] | None]:
    """Scores the rows on one executor: a struct a row, in order."""
    return _score(spark, resolved, rows)[0]


def in_float32(spark: SparkSession, resolved: Resolved) -> Resolved:
    """The same job with the same pinned model in float32, shipped beside the other."""
    bundle = make_bundle(resolved.model.ref, "float32")
    weights = ship(spark, bundle, weights_path=reveal(resolved.definition.compute.weights_path))
    model = replace(resolved.model, bundle=bundle, weights=weights, dtype=Choice("float32", "to compare with"))
    return replace(resolved, model=model)


def expect(rows: int, trial: Trial, slots: int, lengths: Lengths | None = None) -> Planned:
    """What scoring so many rows should take, from a trial.

    It leaves out reading and writing, and takes the table for one whose rows are like the first ones and that has work
    for every slot. A full window pads less than a trial's few rows, so that a run is more often faster than slower.
    Recordings take time by their seconds: those of all rows are estimated from the headers of the first ones. Texts
    take time by the tokens that are written; reading the prompts counts in their speed.
    """
    rate = trial.rows_per_s * slots
    audio = None
    if lengths is not None:
        audio = Audio(seconds=lengths.of(rows), speed=trial.speed * slots, told=lengths.told, looked=lengths.looked)
        if audio.seconds and audio.speed:
            rate = rows * audio.speed / audio.seconds
    texts = None if trial.texts is None else _writing(rows, trial.texts, trial.written_per_s * slots)
    if texts is not None and texts.output_tokens and texts.per_s:
        rate = rows * texts.per_s / texts.output_tokens
    seconds = trial.load_s + (rows / rate if rate else 0.0)
    return Planned(rows=rows, rows_per_s=rate, seconds=seconds, audio=audio, writing=texts)


def _writing(rows: int, texts: writing.Texts, per_s: float) -> Writing:
    """What so many rows give to read and to write, from those of a trial."""
    answered = texts.rows or None
    return Writing(
        prompt_tokens=answered and rows * texts.prompt / answered,
        output_tokens=None if texts.each is None else rows * texts.each * texts.texts / max(1, texts.tried),
        per_s=per_s,
        rows=texts.tried,
        texts=texts.texts,
        cut=texts.cut,
        cap=texts.cap,
        most=texts.most,
    )


def whole(rows: DataFrame, resolved: Resolved) -> DataFrame:
    """The rows that have all required inputs: the key and what scoring reads."""
    required = [resolved.inputs[role.name] for role in resolved.model.schema.inputs if role.required]
    names = dict.fromkeys([*resolved.definition.source.row_key, *resolved.columns])
    return rows.where(" AND ".join(f"`{name}` IS NOT NULL" for name in required)).select(*names)


def _first(spark: SparkSession, resolved: Resolved, count: int) -> DataFrame:
    return whole(tables.read_some(spark, resolved.definition, count), resolved).limit(count)


def _score(
    spark: SparkSession, resolved: Resolved, rows: pa.Table
) -> tuple[list[dict[str, Any] | None], list[dict[str, Any]]]:
    """The struct of each row and the stats of each window."""
    given = seeds.add(spark.createDataFrame(rows), resolved.model, resolved.definition.source.row_key).coalesce(1)
    scored = score(given, model=resolved.model, input=resolved.inputs, output=RESULT, stats=_STATS)
    found = scored.select(RESULT, _STATS).toArrow().to_pydict()
    return found[RESULT], [window for window in found[_STATS] if window]


def _halves(windows: list[dict[str, Any]], rows: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """The stats of the first so many rows and of those behind them: a window each, or more for a task of large answers.

    A window that holds rows of both counts for the first.
    """
    halves: tuple[dict[str, Any], dict[str, Any]] = ({}, {})
    seen = 0
    for window in windows:
        half = halves[seen >= rows]
        half |= {name: half.get(name, 0) + value for name, value in window.items()}
        seen += window["rows"]
    return halves


def seconds_of(spent: Mapping[str, Any], device: str) -> float:
    """Seconds that a warm worker needs for what these stats count.

    Encoding runs beside forward: on a GPU the slower of the two counts, on a CPU they share the cores.
    """
    encode, forward = spent["encode_s"], spent["forward_s"] + spent["decode_s"]
    return float(encode + forward if device == "cpu" else max(encode, forward))
