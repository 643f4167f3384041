"""The answers of a run and of the one before it, counted by Spark: what comes to the driver is bounded by the model.

Both are read from the sink as it was when they were done, so that a rescore is compared with what it took the place of.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from typing import TYPE_CHECKING, Any, Final

from jobs import tables
from jobs.page.measures import Measure, measures
from jobs.told import commits

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

    from jobs.definition import JobDefinition
    from jobs.summary import Summary

#: Steps of a number's range.
STEPS: Final = 20
#: Values that come to the driver, the most frequent ones; labels are the model's, but it may have many.
_MOST: Final = 5000


@dataclass(frozen=True)
class Counted:
    """How often a measure has each value.

    Args:
        of: the measure.
        now, before: value → how often, in the run and in the one before it. Of numbers the value is its step's number.
        low, high: of the range that the steps divide, in both runs; as ``scaled`` gives it.
    """

    of: Measure
    now: dict[str, int] = field(default_factory=dict)
    before: dict[str, int] = field(default_factory=dict)
    low: float = 0.0
    high: float = 0.0


@dataclass(frozen=True)
class Counts:
    """Of a run. ``before`` is the id of the run that it is compared with; None where there was none."""

    counted: tuple[Counted, ...] = ()
    before: str | None = None


def counts(spark: SparkSession, definition: JobDefinition, summary: Summary) -> Counts:
    """Counts the answers of a run that is done; nothing of one that wrote none."""
    if summary.sink_version is None:
        return Counts()
    wanted = measures(summary.task, definition.params)
    runs = [_answers(spark, definition, summary.run_id, summary.sink_version)]
    before = _before(spark, definition, summary.run_id)
    if before is not None:
        runs.append(_answers(spark, definition, *before))
    return Counts(_count(runs, wanted), None if before is None else before[0])


def _before(spark: SparkSession, definition: JobDefinition, run_id: str) -> tuple[str, int] | None:
    """The run whose commit came last before those of this one, and the version of the sink then."""
    made = list(commits(spark, definition, definition.sink.delta))
    first = min((one.version for one in made if one.told["run"] == run_id), default=None)
    earlier = (one.told["run"] for one in made if first is not None and one.version < first)
    run = next(earlier, None)
    return None if run is None or first is None else (run, first - 1)


def _answers(spark: SparkSession, definition: JobDefinition, run_id: str, version: int) -> DataFrame:
    from pyspark.sql import functions as f

    rows = tables.read(spark, definition.sink.delta, version=version).where(f.col("_run_id") == run_id)
    return rows.select(f.col(definition.sink.output).alias("answer"))


def _count(runs: Sequence[DataFrame], wanted: Sequence[Measure]) -> tuple[Counted, ...]:
    """Two passes: over numbers for their range, and over all for their counts."""
    from pyspark.sql import functions as f

    tagged = [answers.select(f.lit(at).alias("run"), "answer") for at, answers in enumerate(runs)]
    rows = reduce(lambda one, other: one.unionAll(other), tagged)
    ranges = _ranges(rows, wanted)
    found = tuple(Counted(of, low=low, high=high) for of, (low, high) in zip(wanted, ranges, strict=True))
    values = f.concat(*(_values(at, one) for at, one in enumerate(found)))
    each = rows.select("run", f.explode(values).alias("one")).select("run", "one.*").where("value IS NOT NULL")
    often = each.groupBy("run", "measure", "value").count().orderBy(f.desc("count")).limit(_MOST)
    for run, measure, value, count in often.collect():
        (found[measure].before if run else found[measure].now)[value] = count
    return found


def _ranges(rows: DataFrame, wanted: Sequence[Measure]) -> Iterator[tuple[float, float]]:
    from pyspark.sql import functions as f

    numbers = [of for of in wanted if of.kind != "name"]
    ends = [end for of in numbers for end in (f.min(_number(of)), f.max(_number(of)))]
    found: Mapping[str, Any] | Sequence[Any] = rows.agg(*ends).first() or [] if ends else []
    each = iter(found)
    for of in wanted:
        low, high = (0.0, 0.0) if of.kind == "name" else (next(each), next(each))
        yield low or 0.0, high or 0.0


def _values(at: int, one: Counted) -> Any:
    """What a row has of a measure, an array of pairs: empty where it has nothing."""
    from pyspark.sql import functions as f

    def pair(value: Any) -> Any:
        return f.struct(f.lit(at).alias("measure"), value.cast("string").alias("value"))

    if one.of.listed:
        found = f.transform(f"answer.{one.of.path}", pair)
    elif one.of.kind == "name":
        found = f.array(pair(f.col(f"answer.{one.of.path}")))
    else:
        step = f.floor((_number(one.of) - one.low) * STEPS / ((one.high - one.low) or 1.0))
        found = f.array(pair(f.when(step < STEPS, step).when(step >= STEPS, STEPS - 1)))  # least() would count NULLs
    return f.coalesce(found, f.array().cast("array<struct<measure: int, value: string>>"))


def _number(of: Measure) -> Any:
    """The number as ``scaled`` gives it; NULL where it is not finite."""
    from pyspark.sql import functions as f

    number = f.col(f"answer.{of.path}").cast("double")
    finite = f.when(f.abs(number) < float("inf"), number)
    return f.log2(finite + 1) if of.kind == "growing" else finite
