"""``sink.parse``: the answers of a job whose response_format has a schema, as a typed column. Runs on the driver."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from engine.errors import SchemaError

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame
    from pyspark.sql.types import DataType, StructField

    from jobs.sections import Sink

_FORMAT: Final = "response_format"


def fields(sink: Sink, output: DataType, params: Mapping[str, Any], taken: list[str]) -> Iterator[StructField]:
    """The field of the parsed answers, where the sink has one.

    Args:
        output: the type of the sink's struct column.
        params: of the prepared model: those of the definition over the logged ones.
        taken: names of the sink's other columns.

    Raises SchemaError for a task without answers, a response_format that is missing, a column's or has no type, and a
    name that is taken.
    """
    if sink.parse is None:
        return
    from pyspark.sql.types import DataType, StructField

    from udfs.answers import check_answers, parsed_type

    try:
        check_answers(sink.output, output)
        kind = parsed_type(params.get(_FORMAT))
    except SchemaError as error:
        raise SchemaError(f"sink.parse: {error}") from None
    if sink.parse.lower() in {name.lower() for name in taken}:
        raise SchemaError(f"sink.parse: expected a name that no other column has, got {sink.parse}; write another name")
    yield StructField(sink.parse, DataType.fromDDL(kind))


def columns(sink: Sink, scored: DataFrame, params: Mapping[str, Any]) -> Iterator[Column]:
    """The column of ``fields``, of scored rows."""
    if sink.parse is not None:
        from udfs.answers import parsed_column

        kind = scored.schema[sink.output].dataType
        yield parsed_column(sink.output, kind, params[_FORMAT]).alias(sink.parse)
