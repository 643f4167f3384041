"""The same scoring as a column expression and as a SQL function: Arrow UDFs, or pandas UDFs where asked.

UDFs are nondeterministic for Spark's optimizer, so that a projection over a subquery doesn't evaluate the model twice.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
import pyarrow as pa

from engine.errors import ParameterError
from engine.options import Column as ParameterColumn
from engine.options import Compute
from engine.schema import Input, TaskSchema, ddl
from udfs.foreign import Sample
from udfs.scoring import PreparedModel, prepare
from udfs.worker import Descriptor

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

Kind = Literal["arrow", "pandas"]


def udf(
    spark: SparkSession,
    model: str | PreparedModel,
    *,
    task: str | None = None,
    params: Mapping[str, Any] | None = None,
    dtype: str = "auto",
    device: str = "auto",
    batch_tokens: int | str = "auto",
    threads: int | str = "auto",
    backend: str = "auto",
    weights_path: str | None = None,
    allow_foreign_code: bool = False,
    sample: DataFrame | None = None,
    kind: Kind | None = None,
) -> Any:
    """A function of columns that scores them: ``df.withColumn("s", udf(spark, "models:/sentiment@champion")("body"))``.

    The columns are the task's inputs in the order of ``embercast tasks``, optional ones may be left out; the result is
    the task's struct. ``kind`` is "arrow" where Spark has Arrow UDFs (4.1 and later), else "pandas". A null input
    gives a null struct from an Arrow UDF and a struct of nulls from a pandas UDF, which can't return null:
    ``error.code IS NULL`` means success with both. A text that is not UTF-8 is an error of its row with an Arrow UDF;
    it fails the job with a pandas UDF, for which Spark decodes the column. ``sample`` is a DataFrame with rows like
    those to be scored, its columns in the inputs' order: a model outside the task table learns its struct from the
    first of them, or from the example that it was logged with. Other arguments as for ``udfs.score``. Runs
    on the driver.

    Raises ParameterError for a parameter from a column (take ``udfs.score``) and for an unknown or missing kind.
    """
    if isinstance(model, str):
        compute = Compute(dtype=dtype, device=device, batch_tokens=batch_tokens, threads=threads, backend=backend)
        model = prepare(
            spark,
            model,
            task=task,
            params=params,
            compute=compute,
            weights_path=weights_path,
            allow_foreign_code=allow_foreign_code,
            sample=None if sample is None else Sample(rows=sample),
        )
    by_row = [name for name, value in model.params.items() if isinstance(value, ParameterColumn)]
    if by_row:
        raise ParameterError(f"a UDF takes fixed parameters, {', '.join(by_row)} come from a column: use udfs.score")
    names = [role.name for role in model.schema.inputs]
    least = sum(role.required for role in model.schema.inputs)  # required roles stand first
    taken = [names[:n] for n in range(least, len(names) + 1)]
    descriptors = [model.descriptor(dict(zip(some, some, strict=True))) for some in taken]
    make = _arrow_udf if _kind(kind) == "arrow" else _pandas_udf
    return make(descriptors, model.schema).asNondeterministic()


def register(spark: SparkSession, name: str, model: str | PreparedModel, **options: Any) -> Any:
    """Registers a SQL function of the session: ``SELECT sentiment(body).label FROM reviews``.

    Takes the options of ``udf`` and returns the function. Runs on the driver.
    """
    return spark.udf.register(name, udf(spark, model, **options))


def _kind(asked: str | None) -> str:
    import pyspark.sql.functions as functions

    has_arrow = hasattr(functions, "arrow_udf")
    if asked not in (None, "arrow", "pandas"):
        raise ParameterError(f"expected kind to be arrow or pandas, got {asked!r}")
    if asked == "arrow" and not has_arrow:
        raise ParameterError("Arrow UDFs need Spark 4.1 or later: take kind='pandas'")
    return asked or ("arrow" if has_arrow else "pandas")


def _arrow_udf(descriptors: list[Descriptor], schema: TaskSchema) -> Any:
    from pyspark.sql.functions import arrow_udf

    def score_arrow(batches: Iterator[tuple[pa.Array, ...]]) -> Iterator[pa.Array]:
        yield from _results(descriptors, map(_columns, batches))

    return arrow_udf(_typed(score_arrow, pa.Array, pa.Array), ddl(schema.output))


def _pandas_udf(descriptors: list[Descriptor], schema: TaskSchema) -> Any:
    from pyspark.sql.functions import pandas_udf

    def score_pandas(batches: Iterator[tuple[pd.Series, ...]]) -> Iterator[pd.DataFrame]:
        arrays = (tuple(map(arrow_column, series, schema.inputs)) for series in map(_columns, batches))
        for result in _results(descriptors, arrays):
            yield pa.RecordBatch.from_arrays(result.flatten(), names=result.type.names).to_pandas()

    return pandas_udf(_typed(score_pandas, pd.Series, pd.DataFrame), ddl(schema.output))


def arrow_column(series: pd.Series | pd.DataFrame, role: Input) -> pa.Array:
    """A pandas column in the type of its role.

    A role that also reads lists gets lists, a single value as a list of one: a batch of nulls does not tell which of
    both its column holds, and the batches of a column have one type. So one that also reads lists of structs gets
    these as JSON, which keeps the fields' order and the keys of each map, and as bytes, by which they are told from a
    text of the column; one that also reads structs gets those as JSON too.
    One of recordings keeps what it holds; a batch of nulls has no type then, which ``engine.batching.windows`` takes.
    """
    if role.nested:
        values = [_json(value) for value in series]
        of = pa.binary() if any(isinstance(value, bytes) for value in values) else None
        return pa.array(values, of or (role.type if series.notna().any() else pa.null()), from_pandas=True)
    if role.record:
        return pa.array(_records(series), role.type, from_pandas=True)
    if role.also and role.type == pa.binary():
        return pa.Array.from_pandas(series)
    if not role.also:
        return pa.Array.from_pandas(series, type=role.type)
    values = [[value] if isinstance(value, str) else value for value in series]
    return pa.array(values, role.also[0], from_pandas=True)


def _json(value: Any) -> Any:
    """Lists of structs or maps, as Spark gives them to pandas, as bytes; text and null as they are."""
    return json.dumps(value, default=_listed).encode() if isinstance(value, list | np.ndarray) else value


def _records(series: pd.Series | pd.DataFrame) -> list[str | None]:
    """Structs, which pandas has as a frame, or maps as JSON without their nulls; text and null as they are."""
    if isinstance(series, pd.DataFrame):
        series = pd.Series(series.to_dict("records"), dtype=object)
    return [json.dumps(_known(value), default=_listed) if isinstance(value, dict) else value for value in series]


def _known(value: Any) -> Any:
    """Without nulls, which pandas makes NaN of among numbers, as it makes floats of whole ones beside them.

    A decimal, as which Spark SQL reads 0.7, is a number too.
    """
    if isinstance(value, dict):
        return {name: _known(one) for name, one in value.items() if not _is_null(one)}
    if isinstance(value, Decimal):
        return float(value)
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _is_null(value: Any) -> bool:
    return value is None or (isinstance(value, float) and np.isnan(value))


def _listed(value: Any) -> Any:
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else str(value)


def _typed(function: Callable[..., Any], takes: type, gives: type) -> Callable[..., Any]:
    # Spark reads the kind of UDF from annotations, which are strings in this module.
    function.__annotations__ = {"batches": Iterator[tuple[takes, ...]], "return": Iterator[gives]}  # type: ignore[valid-type]
    return function


def _columns(batch: Any) -> tuple[Any, ...]:
    # Spark gives a tuple of columns for several arguments and the bare column for one.
    return batch if isinstance(batch, tuple) else (batch,)


def _results(descriptors: list[Descriptor], batches: Iterator[tuple[pa.Array, ...]]) -> Iterator[pa.StructArray]:
    first = next(batches, None)
    if first is None:
        return
    names = list(descriptors[-1].request.inputs)[: len(first)]
    descriptor = next((one for one in descriptors if list(one.request.inputs) == names), None)
    if descriptor is None or len(names) < len(first):
        takes = " or ".join(f"({', '.join(one.request.inputs)})" for one in descriptors)
        raise TypeError(f"expected columns {takes}, got {len(first)}")

    def records() -> Iterator[pa.RecordBatch]:
        yield pa.RecordBatch.from_arrays(list(first), names=names)
        for arrays in batches:
            yield pa.RecordBatch.from_arrays(list(arrays), names=names)

    for scored in descriptor.score(records()):
        yield scored.result
