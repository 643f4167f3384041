"""Rows of the source → rows of the sink: key, kept columns, output, parsed answers, provenance. Runs on the driver."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any, Final

from engine.stats import Stats
from jobs import parsing, seeds
from jobs.batches import FORMAT
from jobs.batches.requests import REFUSED
from jobs.batches.source import told
from jobs.course import SPREAD
from jobs.resolved import Resolved
from jobs.spread import spread
from jobs.tables import sink_columns
from udfs.scoring import score

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

_STATS: Final = "_stats"
_TOOK: Final = "_took"


def sink_rows(batch: DataFrame, resolved: Resolved, run_id: str) -> tuple[DataFrame, Any]:
    """The rows to write, and what is observed of them.

    Its ``get`` has their ``engine.stats.Stats``, and what their partitions took, once they are written.
    """
    from pyspark.sql import Observation
    from pyspark.sql import functions as f

    definition, model = resolved.definition, resolved.model
    sink = definition.sink
    refused = [REFUSED] if definition.source.format == FORMAT else []
    names = dict.fromkeys([*sink_columns(definition), *resolved.columns, *refused])
    parts = spread(batch, resolved.slots, resolved.most_tasks).select(*names)
    rows = seeds.add(parts, model, definition.source.row_key)
    scored = score(rows, model=model, input=resolved.inputs, output=sink.output, stats=_STATS, took=_TOOK)
    counts = Observation()
    counted = {of.name: f.sum(f"{_STATS}.{of.name}") for of in fields(Stats)} | _spread_of(_TOOK)
    if refused:  # the engine saw no input in them
        counted["failed"] += f.count(REFUSED)
        counted["nulls"] -= f.count(REFUSED)
        scored = told(scored, sink.output)
    observed = scored.observe(counts, *(column.alias(name) for name, column in counted.items()))
    parsed = parsing.columns(sink, observed, model.params)
    return observed.select(*sink_columns(definition), sink.output, *parsed, *_provenance(resolved, run_id)), counts


def _spread_of(took: str) -> dict[str, Any]:
    """What partitions took that had rows; Spark's approximation is exact to one in 10,000 of them."""
    from pyspark.sql import functions as f

    found = (f.count(took), f.percentile_approx(took, 0.5), f.percentile_approx(took, 0.99), f.max(took))
    return dict(zip(SPREAD, found, strict=True))


def _provenance(resolved: Resolved, run_id: str) -> list[Any]:
    from pyspark.sql import functions as f

    model = resolved.model
    return [
        f.lit(run_id).alias("_run_id"),
        f.lit(model.ref.version or model.bundle.digest[:12]).alias("_model_version"),
        f.lit(model.dtype.value).alias("_dtype"),
        f.current_timestamp().alias("_scored_at"),
    ]
