"""What a run would do, on what and how fast; what can't work is refused here. Runs on the driver."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

from engine.device import Choice, choose_threads
from engine.models.artifact import OWN
from engine.options import Column
from engine.placement import Placement, tokens_beside, warnings
from jobs import ahead, causes, feed, keys, limits, tables, trial
from jobs.agreement import Agreement, compare
from jobs.batches.source import refusals
from jobs.keys import Keys
from jobs.obstacles import obstacles
from jobs.pace import Pace
from jobs.references import mask
from jobs.resolved import resolve
from jobs.spread import most_tasks, told
from jobs.summary import Planned, duration, rate
from udfs import foreign
from udfs.executors import executor_of
from udfs.lengths import Budget

if TYPE_CHECKING:
    from pyspark.sql import SparkSession
    from rich.console import Group

    from jobs.definition import JobDefinition
    from udfs.scoring import PreparedModel

#: Share of labels that half precision should keep.
_AGREE: Final = 0.99


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a run would do.

    Args:
        job, identity: whose.
        model, digest, task, params: what would score.
        source, where, sink: as the definition writes them.
        rows: in the source; scored: of these, in the sink already; planned: the rest, and what it should take.
        device, dtype, threads, batch_tokens: each with its reason.
        slots: tasks at once; partitions: of the source, None for one that is folded; most_tasks: that they make.
        half: half precision compared with float32 on a few rows; None where it runs in float32 or there is no row.
        keys: null and duplicate keys.
        tried: rows of the trial; failed: of these, rows with an error, by code.
        warnings: what to look at before a run; first, why a run would be refused if it were started now.
        notes: what a run depends on that the model says of itself, and whether it ends.
        backend: what writes the texts, with its reason; None for a task that writes none.
        placement: how the model lies on the executors' GPUs; None on a CPU.
        price: of the run, where ``compute.price_per_hour`` is given; in its currency.
        changed: what is another than when the sink's rows were scored, in sentences.
        on_change: as the definition says; rescore: what scoring every row again should take.
        weights: how large the bundle is, and how it gets to the executors.
    """

    job: str
    identity: str
    model: str
    digest: str
    task: str
    params: Mapping[str, Any]
    source: str
    where: str | None
    sink: str
    rows: int
    scored: int
    planned: Planned
    device: Choice[str]
    dtype: Choice[str]
    threads: Choice[int]
    batch_tokens: Choice[int]
    slots: int
    partitions: int | None
    most_tasks: int | None
    half: Agreement | None
    keys: Keys
    tried: int
    failed: Mapping[str, int]
    warnings: tuple[str, ...]
    notes: tuple[str, ...] = ()
    backend: Choice[str] | None = None
    price: float | None = None
    changed: tuple[str, ...] = ()
    on_change: str = "new_rows"
    rescore: Planned | None = None
    placement: Choice[Placement] | None = None
    weights: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """Everything, for JSON."""
        return asdict(self)

    def __rich__(self) -> Group:
        from rich.console import Group
        from rich.table import Table
        from rich.text import Text

        shown = Table(title=Text(f"{self.job} ({self.identity})"), title_justify="left", show_header=False)
        for name, text in self._lines():
            shown.add_row(name, Text(mask(text)))  # Text: brackets in values are no markup
        return Group(shown, *(Text(f"warning: {mask(text)}", style="bold yellow") for text in self.warnings))

    def _lines(self) -> list[tuple[str, str]]:
        params = ", ".join(f"{name} = {value}" for name, value in self.params.items())
        lines = [
            ("model", f"{self.model}, bundle {self.digest[:12]}"),
            *(("note", note) for note in self.notes),
            ("task", self.task + (f" ({params})" if params else "")),
            ("source → sink", self.source + (f" where {self.where}" if self.where else "") + f" → {self.sink}"),
            ("rows", f"{self.planned.rows:,} to score ({self.rows:,} in the source, {self.scored:,} scored before)"),
            *self._changed(),
            *([("audio", str(self.planned.audio))] if self.planned.audio else []),
            *([("tokens", str(self.planned.writing))] if self.planned.writing else []),
            *([("weights", self.weights)] if self.weights else []),
            ("device", str(self.device)),
            *([("placement", str(self.placement))] if self.placement else []),
            ("dtype", str(self.dtype)),
            *([("backend", str(self.backend))] if self.backend else []),
            ("threads", f"{self.threads}, {self.slots} workers at once"),
            *([("tasks", told(self.partitions, self.slots, self.most_tasks))] if self.partitions else []),
            ("batch_tokens", str(self.batch_tokens)),
            ("expected", self._expected()),
            ("keys", str(self.keys)),
        ]
        if self.half is not None:
            lines.append((f"{self.dtype.value} against float32", str(self.half)))
        if self.failed:
            text = ", ".join(f"{count:,} of {self.tried:,} rows {code}" for code, count in self.failed.items())
            lines.append(("failed in the trial", text))
        return lines

    def _changed(self) -> Iterator[tuple[str, str]]:
        """What each ``on_change`` would mean, where something changed."""
        for reason in self.changed:
            yield "changed", reason
        if self.changed and self.rescore is not None:
            again = f"rescore {self.rescore.rows:,} rows, {duration(self.rescore.seconds)}"
            new = f"new_rows {max(0, self.rows - self.scored):,} rows"
            yield "on_change", f"{self.on_change}; {new}; {again}; fail none"

    def _expected(self) -> str:
        if not self.tried:
            small = f" of at most {Budget.nbytes >> 20} MiB" if self.planned.audio else ""
            return f"unknown: no row has an input{small}"
        audio = self.planned.audio
        heard = f"{rate(audio.speed)} times real time, " if audio else ""
        if self.planned.writing:
            heard = f"{rate(self.planned.writing.per_s)} output tokens/s, "
        cost = "" if self.price is None else f", price {self.price:,.2f}"
        return f"{heard}{rate(self.planned.rows_per_s)} rows/s, {duration(self.planned.seconds)}{cost}"


def plan(definition: JobDefinition, *, spark: SparkSession, check_keys: bool = False) -> Plan:
    """Pins the model, checks columns and keys, scores a few rows on one executor; nothing is written.

    Args:
        definition: the job.
        spark: with Delta (``jobs.session``).
        check_keys: look for null and duplicate keys in all rows, not in the first ones.

    Raises ModelError, SchemaError, ParameterError or DeviceError for what can't work, before the table is read, and
    RunError where Spark can't read it.
    """
    with causes.told(definition):
        return _plan(spark, definition, check_keys=check_keys)


def _plan(spark: SparkSession, definition: JobDefinition, *, check_keys: bool) -> Plan:
    resolved = resolve(spark, definition)
    feed.check(spark, definition)
    taken = trial.take(spark, resolved)
    tried = trial.try_out(spark, taken)
    found = ahead.look(spark, resolved)
    counted = found.counted
    model, hardware = resolved.model, resolved.model.hardware
    manifest = model.bundle.manifest
    placement = None if model.placement is None else model.placement.value
    looked = keys.look(spark, definition, everything=check_keys)
    pace = found.pace or Pace(tried, taken.lengths)
    expected = pace.of(counted.new, resolved.slots)
    against = [*obstacles(spark, definition), found.refusal, limits.exceeded(definition, expected)]
    refused = [f"a run would be refused now: {text}" for text in against if text is not None]
    half, failed = _half(spark, taken, tried), _failed(tried)
    return Plan(
        job=definition.name,
        identity=definition.identity,
        model=mask(model.ref.pinned),
        digest=model.bundle.digest,
        task=model.task,
        params={name: {"column": v.name} if isinstance(v, Column) else v for name, v in model.params.items()},
        source=definition.source.shown,
        where=definition.source.where,
        sink=definition.sink.shown,
        rows=counted.rows,
        scored=counted.scored,
        planned=expected,
        device=model.device,
        dtype=model.dtype,
        threads=choose_threads(model.compute.threads, hardware, task_cpus=_task_cpus(spark, placement)),
        batch_tokens=tokens_beside(
            placement,
            model.compute.batch_tokens,
            hardware,
            model.device.value,
            hidden=manifest.hidden,
            weight_bytes=manifest.weight_bytes,
        ),
        slots=resolved.slots,
        partitions=_partitions(spark, definition),
        most_tasks=most_tasks(expected, resolved.slots),
        half=half,
        keys=looked,
        tried=taken.rows.num_rows,
        failed=failed,
        warnings=(
            *([foreign.slow(model.task)] if model.foreign else []),
            *refused,
            *refusals(tables.read_rows(spark, definition), definition),
            *(warnings(placement, executor_of(spark, model.compute.executor)) if placement else ()),
            *_warnings(definition, looked, half, taken.rows.num_rows, failed),
        ),
        notes=(*model.ref.notes, *_going_on(definition), *_not_compared(model)),
        backend=model.backend,
        price=limits.price(definition, expected.seconds),
        changed=found.changed,
        on_change=definition.on_change,
        rescore=pace.of(counted.rows, resolved.slots),
        placement=model.placement,
        weights=_sent(model),
    )


def _sent(model: PreparedModel) -> str:
    return mask(f"{model.bundle.nbytes / 1e6:,.1f} MB by {model.way}")


def _going_on(definition: JobDefinition) -> Iterator[str]:
    if definition.trigger is not None:
        yield f"a run goes on until it is stopped, a commit every {definition.trigger.every} at most"


def _partitions(spark: SparkSession, definition: JobDefinition) -> int | None:
    """Of the source as it is read; of conversations it is not known before they are put together."""
    if definition.source.fold is not None:
        return None
    return int(tables.read_source(spark, definition).rdd.getNumPartitions())


def _half(spark: SparkSession, taken: trial.Taken, tried: trial.Trial) -> Agreement | None:
    if taken.resolved.model.dtype.value in ("float32", OWN) or not taken.rows.num_rows:
        return None
    if not _room_for_float32(taken.resolved.model):
        return None
    return compare(tried.results, trial.score_rows(spark, trial.in_float32(spark, taken.resolved), taken.rows))


def _not_compared(model: PreparedModel) -> Iterator[str]:
    if model.dtype.value not in ("float32", OWN) and not _room_for_float32(model):
        yield f"{model.dtype.value} is not compared with float32, whose weights find no room on one GPU"


def _room_for_float32(model: PreparedModel) -> bool:
    """Whether the model that half precision is compared with, of twice the size, finds room on a GPU."""
    placement, weights = model.placement, model.bundle.manifest.weight_bytes
    return placement is None or placement.value.holds(2 * weights, model.hardware)


def _warnings(
    definition: JobDefinition, found: Keys, half: Agreement | None, tried: int, failed: Mapping[str, int]
) -> Iterator[str]:
    if not found.unique:
        yield f"keys: {found}"
    if sum(failed.values()) > definition.errors.max_fraction * tried:
        yield (
            f"{sum(failed.values()):,} of {tried:,} rows tried failed, more than errors.max_fraction "
            f"({definition.errors.max_fraction:.2%}) allows: `embercast sample` shows which"
        )
    if half is not None and half.agree is not None and half.agree < _AGREE * half.rows:
        others = half.rows - half.agree
        yield f"{others:,} of {half.rows:,} {half.of} are others in float32: write compute.dtype: float32"


def _failed(tried: trial.Trial) -> dict[str, int]:
    codes = [row["error"]["code"] for row in tried.results if row and row["error"]]
    if tried.texts is not None and tried.texts.short:  # a run lets these go on
        codes = [code for code in codes if code != "incomplete"]
    return {code: codes.count(code) for code in dict.fromkeys(codes)}


def _task_cpus(spark: SparkSession, placement: Placement | None) -> int:
    if placement is not None and placement.scheduled and placement.cpus is not None:
        return placement.cpus
    return int(spark.sparkContext.getConf().get("spark.task.cpus", "1") or 1)
