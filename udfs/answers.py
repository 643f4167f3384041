"""parsed(df, …): answers as a typed column beside their text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from engine.errors import ParameterError, SchemaError
from engine.schema import ddl
from engine.structured import parse, value_type
from engine.structured.parse import schema_in

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame
    from pyspark.sql.types import DataType


def parsed(df: DataFrame, *, column: str, response_format: Mapping[str, Any], output: str) -> DataFrame:
    """All columns of ``df`` and one more: the value of each text, typed by the schema that it was asked for.

    Args:
        df: any DataFrame, for example what ``udfs.score`` gave.
        column: a string, or a chat's struct, of which the first choice is read.
        response_format: {type: json_schema, json_schema: {schema: …}}, as the chat was given it.
        output: name of the new column; its type is ``engine.structured.value_type(schema)``.

    Null where the row has an error or no text, and where the text is no whole valid value of the schema. Runs on the
    driver; texts are parsed when the DataFrame is evaluated.

    Raises SchemaError for a column that is missing or holds no answers, a name that is taken, a response_format of
    another type and properties that no column can have; ParameterError for a schema that is none, and before Spark 4.1.
    """
    if column not in df.columns:
        raise SchemaError(f"expected a column {column}, the table has {', '.join(df.columns)}: name one of these")
    if output.lower() in {name.lower() for name in df.columns}:
        raise SchemaError(f"the table already has a column {output}: choose another name for the output")
    return df.withColumn(output, parsed_column(column, df.schema[column].dataType, response_format))


def parsed_type(response_format: Any) -> str:
    """Spark DDL of the values of a response_format. Raises SchemaError and ParameterError as ``parsed`` does."""
    _arrow_udf()
    return ddl(value_type(schema_in(response_format)))


def parsed_column(name: str, kind: DataType, response_format: Any) -> Column:
    """The column that ``parsed`` adds, of answers in a column of that name and type. Raises as ``parsed`` does."""
    arrow_udf = _arrow_udf()
    schema = schema_in(response_format)

    def parse_texts(batches: Iterator[pa.Array]) -> Iterator[pa.Array]:
        for texts in batches:
            yield parse(schema, texts)

    parse_texts.__annotations__ = {"batches": Iterator[pa.Array], "return": Iterator[pa.Array]}
    return arrow_udf(parse_texts, parsed_type(response_format))(_text(name, kind))


def _arrow_udf() -> Any:
    import pyspark.sql.functions as functions

    if not hasattr(functions, "arrow_udf"):  # pandas would make floats of integers beside nulls
        raise ParameterError("typed columns are made by Arrow UDFs, which need Spark 4.1 or later: parse the text")
    return functions.arrow_udf


def check_answers(name: str, kind: DataType) -> None:
    """Raises SchemaError for a column that holds no answers: neither texts nor the struct of a chat or a completion."""
    from pyspark.sql.types import StringType, StructType

    if isinstance(kind, StringType) or (isinstance(kind, StructType) and {"choices", "error"} <= set(kind.names)):
        return
    raise SchemaError(f"expected {name} to be a string or a chat's struct, got {kind.simpleString()}")


def _text(name: str, kind: Any) -> Column:
    """The text of an answer, null where it has an error."""
    from pyspark.sql import functions as f
    from pyspark.sql.types import StringType

    check_answers(name, kind)
    answer = f.col(f"`{name.replace('`', '``')}`")
    if isinstance(kind, StringType):
        return answer
    choice = f.get(answer["choices"], f.lit(0))
    in_message = "message" in kind["choices"].dataType.elementType.names
    return f.when(answer["error"]["code"].isNull(), choice["message"]["content"] if in_message else choice["text"])
