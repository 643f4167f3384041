"""Whether source and sink have the columns that a job needs: everything wrong in one error. Runs on the driver."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from engine.errors import SchemaError
from engine.options import Column, Request
from jobs import problems, tables
from udfs.columns import check_columns, check_roots, roles

if TYPE_CHECKING:
    from pyspark.sql import SparkSession
    from pyspark.sql.types import StructType

    from engine.schema import TaskSchema
    from jobs.definition import JobDefinition
    from udfs.scoring import PreparedModel


def check(spark: SparkSession, definition: JobDefinition, model: PreparedModel, source: StructType) -> StructType:
    """The sink's schema. Reads no row.

    Raises SchemaError, one line a problem: an input that the task does not have, a column that the source lacks, an
    input of another type than the task reads, paths without roots, an output's name that is taken, a sink with other
    columns.
    """
    task, schema = model.task, model.schema
    request = definition.request(task, schema=schema)
    found = [
        *_raised(roles, task, request.inputs, schema),
        *_missing(definition, request, source),
        *_mistyped(request, task, schema, source),
        *_rootless(request, model, source),
        *_taken(definition, request),
    ]
    expected = None
    if all(name in source.names for name in tables.sink_columns(definition)):
        expected = tables.sink_schema(definition, source, schema, model.params)
        found += _raised(tables.check_sink, spark, definition, expected)
    if found or expected is None:
        raise SchemaError("\n".join(found))
    return expected


def _missing(definition: JobDefinition, request: Request, source: StructType) -> Iterator[str]:
    needed = {
        "source.key": definition.source.key,
        "source.inputs": request.inputs.values(),
        "params": [value.name for value in request.params.values() if isinstance(value, Column)],
        "sink.keep": definition.sink.keep,
    }
    for key, names in needed.items():
        for name in names:
            if name not in source.names:
                near = problems.nearest(name, source.names)
                hint = f"write {near}" if near else "name one of these"
                yield f"{key}: expected a column {name} in the source, it has {', '.join(source.names)}; {hint}"


def _mistyped(request: Request, task: str, schema: TaskSchema, source: StructType) -> Iterator[str]:
    known = {role.name for role in schema.inputs}
    for role, column in request.inputs.items():
        if role in known and column in source.names:
            for problem in _raised(check_columns, source, Request(inputs={role: column}), task, schema):
                yield f"source.inputs: {problem}; name another column or cast it in the source"


def _rootless(request: Request, model: PreparedModel, source: StructType) -> Iterator[str]:
    given = Request(inputs=request.inputs, params=model.params)  # those that the model was logged with among them
    for problem in _raised(check_roots, source, given, model.task):
        yield f"params: {problem}"


def _taken(definition: JobDefinition, request: Request) -> Iterator[str]:
    output = definition.sink.output
    read = [name for name in request.columns if name.lower() == output.lower()]
    if read:
        yield f"sink.output: expected a name that no column read has, got {output}; write another name"


def _raised(function: Any, *arguments: Any) -> list[str]:
    try:
        function(*arguments)
    except SchemaError as error:
        return [str(error)]
    return []
