"""Input and output Arrow types of every task: the only place where types live.

Spark DDL, JSON for people and (later) MLflow signatures are derived from here. A task's output shape never depends on
a parameter. Structs grow by new top-level fields only; the elements of ``list<struct>`` are frozen. Runs anywhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import pyarrow as pa

from engine.errors import SchemaError, UnsupportedTaskError

#: Every output struct ends with this: null on success.
ERROR: Final = pa.struct([("code", pa.string()), ("message", pa.string()), ("retryable", pa.bool_())])

_LABEL_SCORE: Final = pa.struct([("label", pa.string()), ("score", pa.float32())])


@dataclass(frozen=True)
class Input:
    """One input role of a task: ``type`` is what the engine reads; optional roles may be left out or null."""

    name: str
    type: pa.DataType
    required: bool = True


@dataclass(frozen=True)
class TaskSchema:
    """What a task reads and what it gives.

    ``inputs[0]`` is the role that a plain ``input="column"`` means; where it is null the row's struct is null.
    ``fields`` are the output struct's fields without ``error``.
    """

    inputs: tuple[Input, ...]
    fields: tuple[pa.Field, ...]

    @property
    def output(self) -> pa.StructType:
        """The output struct, ``error`` last."""
        return pa.struct([*self.fields, pa.field("error", ERROR)])

    def role(self, name: str) -> Input:
        """The input role of that name. Raises SchemaError where the task has none."""
        for role in self.inputs:
            if role.name == name:
                return role
        known = ", ".join(role.name for role in self.inputs)
        raise SchemaError(f"expected inputs named {known}, got {name!r}: rename the input")


SCHEMAS: Final[Mapping[str, TaskSchema]] = {
    "text-classification": TaskSchema(
        inputs=(Input("text", pa.string()), Input("text_pair", pa.string(), required=False)),
        fields=(
            pa.field("label", pa.string()),
            pa.field("score", pa.float32()),
            pa.field("scores", pa.list_(pa.field("element", _LABEL_SCORE))),
            pa.field("tokens", pa.int32()),
            pa.field("truncated", pa.bool_()),
        ),
    ),
    "embeddings": TaskSchema(
        inputs=(Input("text", pa.string()),),
        fields=(
            pa.field("embedding", pa.list_(pa.field("element", pa.float32()))),
            pa.field("tokens", pa.int32()),
            pa.field("truncated", pa.bool_()),
        ),
    ),
}


def schema_of(task: str) -> TaskSchema:
    """The schema of a task. Raises UnsupportedTaskError with the list of tasks where there is none."""
    try:
        return SCHEMAS[task]
    except KeyError:
        raise UnsupportedTaskError(
            f"expected a task among {', '.join(SCHEMAS)}; got {task!r}. `embercast tasks` shows each with its schema"
        ) from None


_DDL: Final[Mapping[pa.DataType, str]] = {
    pa.string(): "STRING",
    pa.bool_(): "BOOLEAN",
    pa.int32(): "INT",
    pa.int64(): "BIGINT",
    pa.float32(): "FLOAT",
    pa.float64(): "DOUBLE",
    pa.binary(): "BINARY",
}


def ddl(dtype: pa.DataType) -> str:
    """Spark DDL of an Arrow type: ``struct<label: string>`` → ``STRUCT<label: STRING>``.

    Raises SchemaError for a type that no task schema uses.
    """
    if pa.types.is_struct(dtype):
        return "STRUCT<" + ", ".join(f"{f.name}: {ddl(f.type)}" for f in dtype.fields) + ">"
    if pa.types.is_list(dtype):
        return f"ARRAY<{ddl(dtype.value_type)}>"
    try:
        return _DDL[dtype]
    except KeyError:
        raise SchemaError(f"expected a type with a Spark name, got {dtype}: add it to engine.schema._DDL") from None


#: What one window cost. The scorer gives it beside each window; seconds are of one worker.
STATS: Final = pa.struct(
    [
        ("rows", pa.int64()),  # rows that came in
        ("nulls", pa.int64()),  # of these, null inputs (null structs)
        ("failed", pa.int64()),  # of these, rows with an error
        ("duplicates", pa.int64()),  # of these, rows answered by an equal row of the window
        ("tokens", pa.int64()),  # tokens that went through the model
        ("padded_tokens", pa.int64()),  # the same with padding: the padding share is 1 - tokens / padded_tokens
        ("batches", pa.int64()),  # micro-batches
        ("load_s", pa.float64()),  # seconds until the model was ready, in the worker's first window
        ("encode_s", pa.float64()),
        ("forward_s", pa.float64()),
        ("decode_s", pa.float64()),
    ]
)
