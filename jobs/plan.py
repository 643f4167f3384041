"""What a run would do, on what and how fast; what can't work is refused here. Runs on the driver."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from engine.device import Choice, choose_batch_tokens, choose_threads
from jobs import keys, tables, trial
from jobs.agreement import Agreement, compare
from jobs.keys import Keys
from jobs.references import mask
from jobs.resolved import Resolved, resolve
from jobs.summary import Planned

if TYPE_CHECKING:
    from pyspark.sql import SparkSession
    from rich.table import Table

    from jobs.definition import JobDefinition


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a run would do.

    Args:
        job, identity: whose.
        model, digest, task, params: what would score.
        source, sink: as the definition names them.
        rows: in the source; scored: of these, in the sink already; planned: the rest, and what it should take.
        device, dtype, threads, batch_tokens: each with its reason.
        slots: tasks at once.
        half: half precision compared with float32 on a few rows; None where it runs in float32 or there is no row.
        keys: null and duplicate keys.
        failed: rows of the trial with an error, by code.
    """

    job: str
    identity: str
    model: str
    digest: str
    task: str
    params: Mapping[str, Any]
    source: str
    sink: str
    rows: int
    scored: int
    planned: Planned
    device: Choice[str]
    dtype: Choice[str]
    threads: Choice[int]
    batch_tokens: Choice[int]
    slots: int
    half: Agreement | None
    keys: Keys
    failed: Mapping[str, int]

    def as_dict(self) -> dict[str, Any]:
        """Everything, for JSON."""
        return asdict(self)

    def __rich__(self) -> Table:
        from rich.table import Table

        shown = Table(title=f"{self.job} ({self.identity})", title_justify="left", show_header=False)
        for name, text in self._lines():
            shown.add_row(name, mask(text))
        return shown

    def _lines(self) -> list[tuple[str, str]]:
        params = ", ".join(f"{name} = {value}" for name, value in self.params.items())
        lines = [
            ("model", f"{self.model}, bundle {self.digest[:12]}"),
            ("task", self.task + (f" ({params})" if params else "")),
            ("source → sink", f"{self.source} → {self.sink}"),
            ("rows", f"{self.planned.rows:,} to score ({self.rows:,} in the source, {self.scored:,} scored before)"),
            ("device", str(self.device)),
            ("dtype", str(self.dtype)),
            ("threads", f"{self.threads}, {self.slots} workers at once"),
            ("batch_tokens", str(self.batch_tokens)),
            ("expected", f"{self.planned.rows_per_s:,.0f} rows/s, {_duration(self.planned.seconds)}"),
            ("keys", str(self.keys)),
        ]
        if self.half is not None:
            half = self.half
            text = f"labels agree on {half.agree} of {half.rows} rows, largest difference {half.difference:.2g}"
            lines.append((f"{self.dtype.value} against float32", text))
        if self.failed:
            text = ", ".join(f"{count} rows {code}" for code, count in self.failed.items())
            lines.append(("failed in the trial", text))
        return lines


def plan(definition: JobDefinition, *, spark: SparkSession, check_keys: bool = False) -> Plan:
    """Pins the model, checks columns and keys, scores a few rows on one executor; nothing is written.

    Args:
        definition: the job.
        spark: with Delta (``jobs.session``).
        check_keys: look for null and duplicate keys in all rows, not in the first ones.

    Raises ModelError, SchemaError, ParameterError or DeviceError for what can't work, before the table is read.
    """
    resolved = resolve(spark, definition)
    rows = trial.rows_of(spark, resolved)
    tried = trial.try_out(spark, resolved, rows) if rows.num_rows else trial.Trial([], 0.0, 0.0)
    in_source, scored = tables.read_source(spark, definition).count(), tables.scored_rows(spark, definition)
    model, hardware = resolved.model, resolved.model.hardware
    manifest = model.bundle.manifest
    return Plan(
        job=definition.name,
        identity=definition.identity,
        model=model.ref.pinned,
        digest=model.bundle.digest,
        task=model.task,
        params=model.params,
        source=definition.source.shown,
        sink=definition.sink.shown,
        rows=in_source,
        scored=scored,
        planned=trial.expect(max(0, in_source - scored), tried, resolved.slots),
        device=model.device,
        dtype=model.dtype,
        threads=choose_threads(model.compute.threads, hardware, task_cpus=_task_cpus(spark)),
        batch_tokens=choose_batch_tokens(
            model.compute.batch_tokens,
            hardware,
            model.device.value,
            hidden=manifest.hidden,
            weight_bytes=manifest.weight_bytes,
        ),
        slots=resolved.slots,
        half=_half(spark, resolved, rows, tried),
        keys=keys.look(spark, definition, everything=check_keys),
        failed=_failed(tried),
    )


def _half(spark: SparkSession, resolved: Resolved, rows: Any, tried: trial.Trial) -> Agreement | None:
    if resolved.model.dtype.value == "float32" or not rows.num_rows:
        return None
    full = resolve(spark, resolved.definition, dtype="float32")
    return compare(tried.results, trial.score_rows(spark, full, rows))


def _failed(tried: trial.Trial) -> dict[str, int]:
    codes = [row["error"]["code"] for row in tried.results if row and row["error"]]
    return {code: codes.count(code) for code in dict.fromkeys(codes)}


def _task_cpus(spark: SparkSession) -> int:
    return int(spark.sparkContext.getConf().get("spark.task.cpus", "1") or 1)


def _duration(seconds: float) -> str:
    """``40 s``, ``12 min``, ``3.5 h``."""
    if seconds < 120:
        return f"{seconds:,.0f} s"
    return f"{seconds / 60:,.0f} min" if seconds < 7200 else f"{seconds / 3600:,.1f} h"
