"""The same scoring as a column expression and as a SQL function: Arrow UDFs, or pandas UDFs where asked.

UDFs are nondeterministic for Spark's optimizer, so that a projection over a subquery doesn't evaluate the model twice,
unless they are asked to be deterministic, which Spark needs of what stands in UPDATE, MERGE and joins.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
import pyarrow as pa

from engine.errors import ParameterError
from engine.options import Column as ParameterColumn
from engine.options import Compute
from engine.schema import Input, ddl
from engine.tasks.params import row_params
from udfs.foreign import Sample
from udfs.function import Function
from udfs.scoring import PreparedModel, prepare

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

log = logging.getLogger("embercast")

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
    offload: bool = True,
    weights_path: str | None = None,
    allow_foreign_code: bool = False,
    sample: DataFrame | None = None,
    kind: Kind | None = None,
    deterministic: bool = False,
) -> Any:
    """A function of columns that scores them: ``df.withColumn("s", udf(spark, "models:/sentiment@champion")("body"))``.

    The columns are the task's inputs in the order of ``embercast tasks``, optional ones may be left out; parameters of
    the task are given by name, as columns or literals: ``(…)("body", top_k=lit(1))``, in SQL ``top_k => 1``. A null
    one takes what the function has for all calls: ``params``, else what was logged, else the task's default. A
    parameter that the task needs and ``params`` lacks is needed of each call. The result is the task's struct.

    Args:
        kind: "arrow" where Spark has Arrow UDFs (4.1 and later), else "pandas". A null input gives a null struct from
            an Arrow UDF and a struct of nulls from a pandas UDF, which can't return null: ``error.code IS NULL`` means
            success with both. A text that is not UTF-8 is an error of its row with an Arrow UDF; it fails the job with
            a pandas UDF, for which Spark decodes the column.
        deterministic: Spark may then evaluate the function more often than it is written, and takes it in UPDATE,
            MERGE conditions and joins.
        sample: a DataFrame with rows like those to be scored, its columns in the inputs' order: a model outside the
            task table learns its struct from the first of them, or from the example that it was logged with.
        task, params, dtype, device, batch_tokens, threads, backend, offload, weights_path, allow_foreign_code: as for
            ``udfs.score``.

    Runs on the driver. Raises ParameterError for a parameter from a column among ``params`` and for an unknown or
    missing kind; a call that the function does not take fails the query.
    """
    kind = _kind(kind)
    if isinstance(model, str):
        compute = Compute(
            dtype=dtype,
            device=device,
            batch_tokens=batch_tokens,
            threads=threads,
            backend=backend,
            offload=offload,
        )
        model = prepare(
            spark,
            model,
            task=task,
            params=_fixed(params or {}),
            compute=compute,
            weights_path=weights_path,
            allow_foreign_code=allow_foreign_code,
            sample=None if sample is None else Sample(rows=sample),
            by_call=True,
        )
    _tell_shared_gpu(spark, model)
    make = _arrow_udf if kind == "arrow" else _pandas_udf
    made = make(_function(model, kind))
    return made if deterministic else made.asNondeterministic()


def register(spark: SparkSession, name: str, model: str | PreparedModel, **options: Any) -> Any:
    """Registers a SQL function of the session: ``SELECT sentiment(body).label FROM reviews``.

    The function is temporary: it ends with the session. Takes the options of ``udf`` and returns the function. Runs on
    the driver.
    """
    return spark.udf.register(name, udf(spark, model, **options))


def _kind(asked: str | None) -> Kind:
    import pyspark.sql.functions as functions

    has_arrow = hasattr(functions, "arrow_udf")
    if asked not in (None, "arrow", "pandas"):
        raise ParameterError(f"expected kind to be arrow or pandas, got {asked!r}")
    if asked == "arrow" and not has_arrow:
        raise ParameterError("Arrow UDFs need Spark 4.1 or later: take kind='pandas'")
    return "arrow" if asked == "arrow" or (asked is None and has_arrow) else "pandas"


def _fixed(params: Mapping[str, Any]) -> Mapping[str, Any]:
    by_row = [name for name, value in params.items() if isinstance(value, ParameterColumn)]
    if by_row:
        raise ParameterError(
            f"expected {', '.join(by_row)} to be a value for all calls, got a column: give it by name where the "
            f"function is called, as in f(body, {by_row[0]} => column)"
        )
    return params


def _function(model: PreparedModel, kind: Kind) -> Function:
    needed = [name for name, value in model.params.items() if value == ParameterColumn(name)]  # prepare's own
    _fixed({name: value for name, value in model.params.items() if name not in needed})
    said = [kind, model.bundle.digest, model.task, sorted(model.params.items()), model.compute, model.backend]
    said.append(ddl(model.schema.output))  # a foreign model's was learned: from another sample it is another
    return Function(
        descriptor=model.descriptor({}),
        schema=model.schema,
        parameters=() if model.foreign else row_params(model.task),
        needed=tuple(needed),
        identity=hashlib.sha256(repr([*said, model.storage, model.ref.known_as]).encode()).hexdigest()[:16],
    )


def _tell_shared_gpu(spark: SparkSession, model: PreparedModel) -> None:
    """A UDF takes no ResourceProfile: it has the GPU of its task, where the session gives its tasks one."""
    if model.device.value == "cpu" or spark.conf.get("spark.task.resource.gpu.amount", None):
        return
    log.warning(
        "%s: this session gives its tasks no GPU, so all workers of a host load the model onto %s. Start it with "
        "spark.task.resource.gpu.amount=1, give device='cpu', or take udfs.score with a profile",
        model.ref.pinned,
        model.device,
    )


def _arrow_udf(function: Function) -> Any:
    from pyspark.sql.functions import arrow_udf

    def score_arrow(*columns: pa.Array, **named: pa.Array) -> pa.Array:
        return function(function.named(columns, named))

    return arrow_udf(_typed(score_arrow, pa.Array, pa.Array), ddl(function.schema.output))


def _pandas_udf(function: Function) -> Any:
    from pyspark.sql.functions import pandas_udf

    roles = {role.name: role for role in function.schema.inputs}

    def score_pandas(*columns: pd.Series, **named: pd.Series) -> pd.DataFrame:
        given = function.named(columns, named)
        result = function({name: _column(series, roles.get(name)) for name, series in given.items()})
        frame: pd.DataFrame = pa.RecordBatch.from_arrays(result.flatten(), names=result.type.names).to_pandas()
        return frame

    return pandas_udf(_typed(score_pandas, pd.Series, pd.DataFrame), ddl(function.schema.output))


def _column(series: pd.Series | pd.DataFrame, role: Input | None) -> pa.Array:
    return arrow_column(series, role) if role is not None else _parameter(series)


def _parameter(series: pd.Series | pd.DataFrame) -> pa.Array:
    """Values of a parameter; structs, which pandas has as a frame, are mappings without their nulls."""
    if isinstance(series, pd.DataFrame):
        series = pd.Series([_known(one) or None for one in series.to_dict("records")], dtype=object)
    return pa.array([None if _is_null(value) else _known(value) for value in series], from_pandas=True)


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
    function.__annotations__ = {"columns": takes, "named": takes, "return": gives}
    return function
