"""score(df, …): a DataFrame in, the same DataFrame with one struct column more out."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from engine.audio.roots import absolute
from engine.audio.storage import Storage
from engine.device import Choice, Hardware, choose_device, choose_dtype
from engine.errors import SchemaError
from engine.generation.choice import choose_backend
from engine.models.artifact import make_artifact_bundle
from engine.models.bundle import Bundle, make_bundle
from engine.models.ref import ModelRef
from engine.models.registry import resolve
from engine.options import Column, Compute, ExecutorRequest, Request
from engine.placement import Placement
from engine.schema import SCHEMAS, STATS, TaskSchema, ddl
from engine.scorer import Scored
from engine.tasks import PYFUNC, task_class
from engine.tasks.check import check
from engine.tasks.params import parse_params
from udfs import apart, foreign
from udfs.columns import check_columns, check_roots, roles
from udfs.foreign import Sample
from udfs.hardware import probe
from udfs.logged import over_logged
from udfs.placing import placed
from udfs.profile import profile_of
from udfs.storage import storage_of
from udfs.weights import Weights, choose_way, ship
from udfs.worker import Descriptor, attempt

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession
    from pyspark.sql.types import StructType

log = logging.getLogger("embercast")


@dataclass(frozen=True, kw_only=True)
class PreparedModel:
    """A model resolved, pinned, bundled in its dtype and reachable for the executors. Lives on the driver."""

    ref: ModelRef
    bundle: Bundle
    weights: Weights
    params: Mapping[str, Any]
    device: Choice[str]
    dtype: Choice[str]
    hardware: Hardware
    compute: Compute
    schema: TaskSchema
    storage: Storage = field(default_factory=Storage)
    #: What writes the texts; None for a task that writes none.
    backend: Choice[str] | None = None
    #: How it lies on the executors' GPUs; None on a CPU.
    placement: Choice[Placement] | None = None
    #: How the bundle gets to the executors.
    way: Choice[str] | None = None

    @property
    def task(self) -> str:
        """The task it scores."""
        return self.ref.task

    @property
    def foreign(self) -> bool:
        """Whether the task table lacks it: its struct was learned, and is pinned."""
        return self.task not in SCHEMAS

    def descriptor(self, inputs: Mapping[str, str]) -> Descriptor:
        """What travels to the workers, for inputs given as role → column."""
        request = Request(inputs=dict(inputs), params=self.params)
        pinned = self.schema if self.foreign else None
        backend = None if self.backend is None else self.backend.value
        return Descriptor(
            self.task,
            request,
            self.compute,
            self.weights,
            pinned,
            self.storage,
            backend,
            self.ref.known_as,
            None if self.placement is None else self.placement.value,
        )


def prepare(
    spark: SparkSession,
    model: str,
    *,
    task: str | None = None,
    params: Mapping[str, Any] | None = None,
    compute: Compute | None = None,
    weights_path: str | None = None,
    allow_foreign_code: bool = False,
    sample: Sample | None = None,
    by_call: bool = False,
) -> PreparedModel:
    """Resolves and pins a model, decides device and dtype, makes its bundle and ships it. Runs on the driver.

    Args:
        spark: the session whose executors will score.
        model: models:/name@alias, models:/name/version, runs:/id/path or a local folder.
        task: None takes what the model says.
        params: the task's parameters, over those that the model was logged with; ``engine.options.Column`` where a
            column gives the value, and the logged one where it is null.
        compute: dtype, device, batch_tokens, threads, backend, GPUs a task, window.
        weights_path: a folder or URI (s3a://, …) that all hosts see, used instead of the broadcast.
        allow_foreign_code: whether a model that is no transformers flavor may be scored, by the code it brings.
        sample: rows that the struct of a model outside the task table is learned from.
        by_call: whether each call gives the parameters that the task needs and nobody gave: columns of their names.

    Raises a ModelError, ParameterError or DeviceError before any row is read.
    """
    compute = compute or Compute()
    ref = resolve(model, task=task, allow_foreign_code=allow_foreign_code)
    merged = over_logged(ref, params or {})
    if by_call:
        merged |= {name: Column(name) for name in task_class(ref.task).required if merged.get(name) is None}
    parsed = parse_params(ref.task, merged)
    if "roots" in merged and ref.task in SCHEMAS:
        merged["roots"] = absolute(merged["roots"])  # as the driver means them: a worker runs elsewhere
    hardware = probe(spark, compute.executor)
    # Who asks for executors with GPUs is not served by their cores.
    wanted = "cuda" if compute.executor is not None and compute.device == "auto" else compute.device
    device = choose_device(wanted, hardware)
    if ref.task in SCHEMAS:
        half = task_class(ref.task).half
        dtype = choose_dtype(compute.dtype, hardware, device.value, logged=ref.dtype, half=half)
    else:
        dtype = foreign.dtype(ref.task, compute.dtype)
    backend = choose_backend(compute.backend, hardware, device.value, task=ref.task)
    bundle = make_artifact_bundle(ref) if ref.task == PYFUNC else make_bundle(ref, dtype.value)
    if ref.task in SCHEMAS:
        check(ref.task, bundle, merged)
    else:
        task_class(ref.task).check(parsed, bundle.manifest)
    schema = SCHEMAS.get(ref.task) or _pinned(ref, bundle, merged, sample)
    placement = None
    if device.value != "cpu":
        chosen, table = None if backend is None else backend.value, None if sample is None else sample.rows
        placement = placed(spark, bundle, compute, hardware, task=ref.task, backend=chosen, table=table)
    weights = ship(spark, bundle, weights_path=weights_path)
    log.info("embercast pinned %s, bundle %s, dtype %s", ref.pinned, bundle.digest[:12], dtype)
    return PreparedModel(
        ref=ref,
        bundle=bundle,
        weights=weights,
        params=merged,
        device=device,
        dtype=dtype,
        hardware=hardware,
        compute=compute,
        schema=schema,
        storage=storage_of(spark, getattr(parsed, "roots", ())),
        backend=backend,
        placement=placement,
        way=choose_way(spark, bundle.nbytes, weights_path=weights_path),
    )


def _pinned(ref: ModelRef, bundle: Bundle, params: Mapping[str, Any], sample: Sample | None) -> TaskSchema:
    by_row = tuple(name for name, value in params.items() if isinstance(value, Column))
    return foreign.pin(bundle, name=ref.task, params=parse_params(ref.task, params), by_row=by_row, sample=sample)


def score(
    df: DataFrame,
    *,
    model: str | PreparedModel,
    input: str | Mapping[str, str],
    output: str,
    task: str | None = None,
    params: Mapping[str, Any] | None = None,
    dtype: str = "auto",
    device: str = "auto",
    batch_tokens: int | str = "auto",
    threads: int | str = "auto",
    backend: str = "auto",
    gpus_per_task: int | str = "auto",
    tasks_per_gpu: int | str = "auto",
    offload: bool = True,
    executor: ExecutorRequest | None = None,
    weights_path: str | None = None,
    allow_foreign_code: bool = False,
    profile: Any = None,
    stats: str | None = None,
    took: str | None = None,
) -> DataFrame:
    """All columns of ``df`` and one struct column more, by mapInArrow; as many rows, in order within a partition.

    Args:
        df: any DataFrame.
        model: models:/name@alias, models:/name/version, runs:/id/path, a local folder, or what ``prepare`` gave.
        input: the column of the task's main input, or input role → column (``{"text": "body", "text_pair": "title"}``).
        output: name of the struct column; its type is ``engine.schema.SCHEMAS[task].output``, or for a model outside
            the task table what is learned from the first rows of ``df`` when this is called.
        task, params, dtype, device, batch_tokens, threads, backend, gpus_per_task, tasks_per_gpu, offload,
            executor, weights_path, allow_foreign_code: as for ``prepare`` and ``Compute``; a prepared model has them
            already.
        profile: a ``pyspark.resource.ResourceProfile`` for the stage, in place of that which the model's placement
            asks for where Spark hands out GPUs.
        stats: name of one more column (``engine.schema.STATS``), non-null on one row of each window.
        took: name of one more column (``DOUBLE``), non-null on one row of each partition: the seconds from its start to
            the last answer. For it the answers of a window are held until it is known whether another follows.

    The model is resolved on the driver when this is called; rows are scored when the DataFrame is. Raises SchemaError
    for a column that is missing, of the wrong type or there already, and for paths of recordings without roots.
    """
    if isinstance(model, str):
        compute = Compute(
            dtype=dtype,
            device=device,
            batch_tokens=batch_tokens,
            threads=threads,
            backend=backend,
            gpus_per_task=gpus_per_task,
            tasks_per_gpu=tasks_per_gpu,
            offload=offload,
            executor=executor,
        )
        model = prepare(
            df.sparkSession,
            model,
            task=task,
            params=params,
            compute=compute,
            weights_path=weights_path,
            allow_foreign_code=allow_foreign_code,
            sample=Sample(rows=df, input=input),
        )
    descriptor = model.descriptor(roles(model.task, input, model.schema))
    check_columns(df.schema, descriptor.request, model.task, model.schema)
    check_roots(df.schema, descriptor.request, model.task)
    schema = _with_results(df.schema, model.schema, output, stats, took)
    # Spark looks a column up by its name, which fails for names that repeat or hold a dot: it gets positions.
    by_position = df.toDF(*map(str, range(len(df.columns))))
    if profile is None and model.placement is not None:
        profile = profile_of(df.sparkSession, model.placement.value, model.compute.executor)
    return by_position.mapInArrow(_mapper(descriptor, df.columns, stats, took), schema, profile=profile)


def _with_results(
    schema: StructType, gives: TaskSchema, output: str, stats: str | None, took: str | None
) -> StructType:
    from pyspark.sql.types import DataType, DoubleType, StructField, StructType

    added = [StructField(output, DataType.fromDDL(ddl(gives.output)))]
    if stats is not None:
        added.append(StructField(stats, DataType.fromDDL(ddl(STATS))))
    if took is not None:
        added.append(StructField(took, DoubleType()))
    taken = [field.name for field in added if field.name.lower() in {name.lower() for name in schema.names}]
    if taken:
        raise SchemaError(f"the table already has a column {', '.join(taken)}: choose another name for the output")
    return StructType([*schema.fields, *added])


def _mapper(
    descriptor: Descriptor, names: list[str], stats: str | None, took: str | None
) -> Callable[[Iterator[Any]], Iterator[Any]]:
    def score_partition(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        start = time.perf_counter()
        named = (pa.RecordBatch.from_arrays(batch.columns, names=names) for batch in batches)
        # A task that was tried before may have died of one of its rows.
        windows = apart.score(descriptor, named) if attempt() else descriptor.score(named)
        marked = ((window, False) for window in windows) if took is None else _with_last(windows)
        for scored, last in marked:
            rows = scored.batch.num_rows
            columns = [*scored.batch.columns, scored.result]
            if stats is not None:
                columns.append(scored.stats.column(rows))
            if took is not None:
                seconds = [time.perf_counter() - start if last else None]
                columns.append(pa.concat_arrays([pa.array(seconds, pa.float64()), pa.nulls(rows - 1, pa.float64())]))
            yield pa.RecordBatch.from_arrays(columns, names=[str(i) for i in range(len(columns))])

    return score_partition


def _with_last(windows: Iterable[Scored]) -> Iterator[tuple[Scored, bool]]:
    """Each window, and whether it is the last: one is held back."""
    following = iter(windows)
    held = next(following, None)
    while held is not None:
        one, held = held, next(following, None)
        yield one, held is None
