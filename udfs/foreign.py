"""Models of no task in the table, in Spark: their struct is learned from a few rows on the driver and pinned."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa

from engine.batching import isolate
from engine.device import Choice
from engine.errors import ModelError, ParameterError
from engine.inferred import held, learn
from engine.models import pipelines
from engine.models.bundle import Bundle
from engine.models.load import load
from engine.models.manifest import Manifest
from engine.schema import Input, TaskSchema, ddl
from engine.tasks import PYFUNC
from engine.tasks.foreign import Foreign, ForeignParams, Predict, results
from udfs import python_function

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

log = logging.getLogger("embercast")

#: Rows that the struct is learned from.
ROWS: Final = 16


@dataclass(frozen=True, kw_only=True)
class Sample:
    """What a struct may be learned from.

    Args:
        rows: like those that will be scored.
        input: the column of the main input, or input role → column; None takes the columns in the roles' order.
        before: gives the struct that earlier results were written in, if any. It wins: nothing is learned then.
    """

    rows: DataFrame
    input: str | Mapping[str, str] | None = None
    before: Callable[[], pa.DataType | None] = lambda: None


def pin(
    bundle: Bundle, *, name: str, params: ForeignParams, by_row: tuple[str, ...], sample: Sample | None
) -> TaskSchema:
    """The schema of a foreign model, which never changes afterwards. Runs on the driver, and the model with it.

    Args:
        bundle: of the model.
        name: its task, as ``engine.tasks.is_foreign`` knows it.
        params: fixed ones; ``by_row``: the names of those that a column gives.
        sample: None takes the example that a PyFunc was logged with.

    Raises ParameterError without a sample or for a parameter that the model lacks, ModelError where it scores no row of
    the sample, SchemaError where results have no type in common.
    """
    inputs = (Input(pipelines.ROLE, pa.string()),) if name != PYFUNC else python_function.inputs_of(bundle.path)
    if name == PYFUNC:
        python_function.check_params(bundle.path, [*params.call, *by_row])
    before = sample.before() if sample is not None else None
    known = held(inputs, before) if before is not None else None
    if known is not None:
        return known
    columns = _columns(sample, inputs) if sample is not None else None
    if columns is None and name == PYFUNC:
        columns = python_function.example_of(bundle.path, inputs)
    if columns is None:
        raise ParameterError(
            f"expected a sample: {name} is no task of the table, so its struct is learned from rows; give sample="
        )
    found = learn(inputs, _results(predictor(name, bundle.path, "cpu")[0], columns, params))
    log.warning("%s: struct learned from a sample and pinned: %s", slow(name), ddl(found.output))
    return found


def predictor(name: str, folder: Path, device: str) -> tuple[Predict, Manifest]:
    """The model as a function of columns, and its bundle's manifest. Runs on the driver and in the workers."""
    if name == PYFUNC:
        return python_function.predictor(folder), Manifest.read(folder)
    loaded = load(folder, device)
    return pipelines.predictor(name, loaded), loaded.manifest


def task(name: str, folder: Path, device: str, schema: TaskSchema) -> Foreign:
    """The task of a bundle's folder. Runs in the worker."""
    predict, manifest = predictor(name, folder, device)
    return Foreign(name, predict, schema, manifest)


def dtype(name: str, asked: str) -> Choice[str]:
    """The dtype of a foreign model: float32 for a pipeline unless asked otherwise, a PyFunc's own affair.

    Raises ParameterError where one is asked of a PyFunc.
    """
    if name != PYFUNC:
        return (
            Choice("float32", "nobody knows whether this pipeline bears half precision")
            if asked == "auto"
            else (Choice(asked, "asked for"))
        )
    if asked != "auto":
        raise ParameterError(f"expected dtype auto for a PyFunc, whose own code chooses it, got {asked}: leave it out")
    return Choice("own", "the model's own code chooses it")


def slow(name: str) -> str:
    """What a person should know of such a model, in a sentence."""
    if name == PYFUNC:
        return "a PyFunc runs its own code: it is neither batched by length nor held to one result whatever the batch"
    return f"{name} is no task of this engine: its transformers pipeline runs row by row, many times slower"


def _columns(sample: Sample, inputs: tuple[Input, ...]) -> Mapping[str, pa.Array] | None:
    """The first rows whose main input is not null, by role; None where there is none."""
    given: Any = sample.input
    if given is None:
        given = dict(zip((role.name for role in inputs), sample.rows.columns, strict=False))
    named = {inputs[0].name: given} if isinstance(given, str) else given
    schema = TaskSchema(inputs=inputs, fields=())
    types = {role: schema.role(role).type for role in named}
    required = [f"`{named[role.name]}` IS NOT NULL" for role in inputs if role.required and role.name in named]
    rows = sample.rows.where(" AND ".join(required) or "true").selectExpr(
        *(f"`{column}` AS `{role}`" for role, column in named.items())
    )
    taken = rows.limit(ROWS).toArrow()
    if not taken.num_rows:
        return None
    return {role: taken.column(role).combine_chunks().cast(types[role]) for role in named}


def _results(predict: Predict, columns: Mapping[str, pa.Array], params: ForeignParams) -> list[Any]:
    """The results of the rows that the model scores, each of the others left out."""

    def run(rows: Any) -> list[Any]:
        taken = pa.array(rows)
        return results(predict, {role: column.take(taken) for role, column in columns.items()}, params)

    everything = np.arange(len(next(iter(columns.values()))))
    done, failures = isolate(run, everything, code="forward_failed")
    if not done:
        first = next(iter(failures.values()))
        raise ModelError(
            f"expected the model to score a row of the sample, it scored none of {everything.size}: {first}"
        )
    return [value for _, values in done for value in values]
