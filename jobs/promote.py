"""Another version of a model in the place of the one that a job's alias names: compared first. Runs on the driver.

Both score the same rows, one after the other, on the executors; what they say is compared there. Then the alias is
moved, and the job runs as its ``on_change`` says: ``jobs.runner.run``.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa

from engine.errors import SchemaError
from engine.options import Column
from engine.stats import Stats
from engine.tasks import task_class
from engine.tasks.audio import AudioTask
from jobs import ahead, bounds, feed, limits, seeds, tables, trial
from jobs.alias import Alias
from jobs.comparison import Comparison, Side
from jobs.differences import NEW, OLD, Differences, differences
from jobs.errors import DefinitionError, Problem, RunError, TooManyFailedRowsError
from jobs.obstacles import obstacles
from jobs.references import mask
from jobs.resolved import Resolved, resolve
from jobs.spread import spread
from jobs.summary import Planned
from udfs.scoring import score

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

    from jobs.definition import JobDefinition

log = logging.getLogger("embercast")

#: Rows that are compared where nobody says how many; fewer of tasks that take seconds a row.
ROWS: Final = 1000
FEW: Final = 100
#: Rows that are looked at for each that is compared: some have no input.
_SPARE: Final = 4
_PLACE: Final = "__embercast_place"


def compare(
    definition: JobDefinition, alias: Alias, *, spark: SparkSession, rows: int | None = None, everything: bool = False
) -> Comparison:
    """Scores rows of the source by both versions, and says what differs; nothing is written, in table or registry.

    Args:
        definition: the job, whose ``on_change`` is new_rows or rescore.
        alias: the one that it names, with both versions.
        spark: with Delta (``jobs.session``).
        rows: how many, the same ones each time: those whose keys hash lowest; None for ``ROWS``, or ``FEW`` of a task
            on recordings or one that writes or speaks.
        everything: all rows of the source.

    Raises DefinitionError for on_change: fail; what ``jobs.plan.plan`` raises for either version, and SchemaError where
    the two are no models of one task; RunError where a run would be refused now.
    """
    if definition.on_change == "fail":
        raise DefinitionError([_NO_FAIL])
    old, new = (_resolved(spark, definition, alias.at(version)) for version in (alias.old, alias.new))
    _check_alike(old, new)
    feed.check(spark, definition)
    found = ahead.look(spark, new)
    for reason in (*obstacles(spark, definition), *filter(None, [found.refusal])):
        raise RunError(f"a run would be refused now, nothing was compared: {reason}")
    total = found.counted.rows
    sample = _all(spark, old) if everything else _some(spark, old, rows or _count(old), total)
    spent, between = _score(sample, old, new)
    sides = [_side(resolved, one, total) for resolved, one in zip((old, new), spent, strict=True)]
    run = _expected(new, spent[1], found.counted.new)
    return Comparison(
        job=definition.name,
        identity=definition.identity,
        task=new.model.task,
        alias=mask(alias.uri),
        old=sides[0],
        new=sides[1],
        differences=between,
        on_change=definition.on_change,
        run=run,
        price=limits.price(definition, run.seconds),
        refusal=limits.exceeded(definition, run) or _too_many(definition, between),
    )


def accept(definition: JobDefinition, alias: Alias, comparison: Comparison) -> JobDefinition:
    """Moves the alias. Returns the job, which is to be run then: a run that dies is gone on with by the next one.

    A ``trigger`` is left out of it: the run ends with what there is.

    Raises LimitReachedError where the run is expected to exceed a limit, TooManyFailedRowsError where more of the rows
    that were compared failed than ``errors.max_fraction`` allows, RunError where the alias names another version by now
    or the registry refuses: nothing is moved.
    """
    limits.check(definition, comparison.run)
    if (reason := _too_many(definition, comparison.differences)) is not None:
        raise TooManyFailedRowsError(
            f"{reason}: nothing was changed. Allow more (--set errors.max_fraction=…), or keep it"
        )
    alias.move()
    log.info("%s is version %s now, and was %s", mask(alias.uri), alias.new, alias.old)
    return definition.model_copy(update={"trigger": None})


def _too_many(definition: JobDefinition, found: Differences) -> str | None:
    """Why a run by the new version would end with too many failed rows, as far as the rows tell; None where not."""
    failed, allowed = sum(found.new_failed.values()), definition.errors.max_fraction
    if failed <= allowed * found.rows:
        return None
    return f"{failed:,} of {found.rows:,} rows that were compared failed, errors.max_fraction allows {allowed:.2%}"


def _resolved(spark: SparkSession, definition: JobDefinition, uri: str) -> Resolved:
    return resolve(spark, definition.model_copy(update={"model": uri}))


def _check_alike(old: Resolved, new: Resolved) -> None:
    if (old.model.task, old.model.schema.output) != (new.model.task, new.model.schema.output):
        raise SchemaError(
            f"expected a version that gives what {mask(old.model.ref.pinned)} gives ({old.model.task}), "
            f"{mask(new.model.ref.pinned)} gives another struct ({new.model.task}): give it a job of its own"
        )


def _count(resolved: Resolved) -> int:
    task = task_class(resolved.model.task)
    speaks = any(pa.types.is_binary(field.type) for field in resolved.model.schema.fields)
    slow = issubclass(task, AudioTask) or speaks or bounds.limit_of(resolved.model.task) is not None
    return FEW if slow else ROWS


def _all(spark: SparkSession, resolved: Resolved) -> DataFrame:
    return spread(trial.whole(tables.read_source(spark, resolved.definition), resolved), resolved.slots)


def _some(spark: SparkSession, resolved: Resolved, count: int, total: int) -> DataFrame:
    """The rows whose keys hash lowest. Few of the others are sorted, and of turns few conversations are folded."""
    from pyspark.sql import functions as f

    rows = trial.whole(tables.read_source(spark, resolved.definition), resolved)
    place = f.xxhash64(*(f.col(f"`{name}`") for name in resolved.definition.source.key))
    share = (_SPARE * count + FEW) / max(1, total)
    if share < 1:
        rows = rows.where(place < f.lit(int((share - 0.5) * 2**64)))
    tasks = max(1, min(resolved.slots, min(count, total) // trial.ROWS))
    return rows.withColumn(_PLACE, place).orderBy(_PLACE).limit(count).drop(_PLACE).repartition(tasks)


def _score(sample: DataFrame, old: Resolved, new: Resolved) -> tuple[tuple[Mapping[str, Any], ...], Differences]:
    """What each version spent, and what differs. One scores after the other, so that each has the cores for itself."""
    with _kept(_scored(sample, old, OLD)) as first:
        before = _spent(first, OLD)
        with _kept(_scored(first, new, NEW).select(OLD, NEW, _stats(NEW))) as second:
            after = _spent(second, NEW)
            own_labels = isinstance(new.model.params.get("candidate_labels"), Column)
            found = differences(second, task=new.model.task, gives=new.model.schema, own_labels=own_labels)
    return (before, after), found


@contextmanager
def _kept(rows: DataFrame) -> Iterator[DataFrame]:
    """The rows, on the executors for as long as the block runs: a model scores each once."""
    rows.persist()
    try:
        yield rows
    finally:
        rows.unpersist()


def _scored(rows: DataFrame, resolved: Resolved, output: str) -> DataFrame:
    given = seeds.add(rows, resolved.model, resolved.definition.source.row_key)
    return score(given, model=resolved.model, input=resolved.inputs, output=output, stats=_stats(output))


def _stats(output: str) -> str:
    return f"{output}_stats"


def _spent(rows: DataFrame, output: str) -> Mapping[str, Any]:
    """The sums of the stats, and the longest time that a worker took to load."""
    from pyspark.sql import functions as f

    columns = {of.name: f.col(f"{_stats(output)}.{of.name}") for of in fields(Stats)}
    sums = [f.max(column) if name == "load_s" else f.sum(column) for name, column in columns.items()]
    row = rows.agg(*(one.alias(name) for one, name in zip(sums, columns, strict=True))).first()
    assert row is not None
    return {name: row[name] or 0 for name in columns}


def _side(resolved: Resolved, spent: Mapping[str, Any], total: int) -> Side:
    model, rescore = resolved.model, _expected(resolved, spent, total)
    assert model.ref.version is not None
    return Side(
        version=model.ref.version,
        digest=model.bundle.digest,
        dtype=model.dtype.value,
        rescore=rescore,
        price=limits.price(resolved.definition, rescore.seconds),
        written=spent["written_tokens"] / max(1, _distinct(spent)),
    )


def _expected(resolved: Resolved, spent: Mapping[str, Any], rows: int) -> Planned:
    """What scoring so many rows should take, by what some took."""
    seconds = trial.seconds_of(spent, resolved.model.device.value)
    per_s = _distinct(spent) / seconds * resolved.slots if seconds else 0.0
    return Planned(rows=rows, rows_per_s=per_s, seconds=spent["load_s"] + rows / per_s if per_s and rows else 0.0)


def _distinct(spent: Mapping[str, Any]) -> int:
    return int(spent["rows"] - spent["nulls"] - spent["duplicates"])


_NO_FAIL: Final = Problem(
    file="",
    line=None,
    key="on_change",
    expected="what becomes of the rows that were scored before",
    got="fail",
    hint="--on-change new_rows leaves them, --on-change rescore scores them again",
)
