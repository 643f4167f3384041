"""What the fields of a job definition hold: texts with references or without, names, columns, parameters."""

from __future__ import annotations

from difflib import get_close_matches
from typing import Annotated, Any

from pydantic import AfterValidator, Discriminator, Field, PlainSerializer, Tag, WithJsonSchema
from pydantic_core import PydanticCustomError

import engine.options
from jobs.references import REFERENCE


def refuse(expected: str, got: str, hint: str) -> PydanticCustomError:
    """A validator's error, in the three parts that a ``Problem`` has."""
    return PydanticCustomError(
        "refused", "expected {expected}, got {got}; {hint}", {"expected": expected, "got": got, "hint": hint}
    )


def _plain(text: str) -> str:
    if REFERENCE.search(text):
        raise refuse("plain text", text, "write ${env:…} only in model, table, path, where, options and weights_path")
    return text


def _known(task: str) -> str:
    from engine.schema import SCHEMAS

    if task not in SCHEMAS:
        near = next(iter([*get_close_matches(task.lower(), SCHEMAS, n=1), *SCHEMAS]))
        raise refuse(f"a task among {', '.join(SCHEMAS)}", task, f"write task: {near}")
    return task


def _distinct(names: list[str]) -> list[str]:
    again = sorted({name for name in names if names.count(name) > 1})
    if again:
        raise refuse("each column once", ", ".join(again) + " again", "remove it")
    return names


def _column(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    if set(value) == {"column"} and isinstance(value["column"], str):
        return engine.options.Column(value["column"])
    if any(get_close_matches(str(key), ["column"]) for key in value):  # no parameter that is a mapping has such a key
        raise refuse(
            "a value or {column: name}", f"a mapping with {', '.join(map(str, value))}", "write {column: name}"
        )
    return value


def _uncolumn(value: Any) -> Any:
    return {"column": value.name} if isinstance(value, engine.options.Column) else value


#: Text that may hold ``${env:NAME}``; it is kept as written, ``jobs.references.reveal`` gives the value.
Text = Annotated[str, Field(min_length=1)]
#: Text that may not.
Name = Annotated[str, Field(min_length=1), AfterValidator(_plain)]
#: What tells jobs apart.
JobName = Annotated[
    str,
    Field(
        pattern=r"^[a-z][a-z0-9_]*$",
        description="a name of lower-case letters, digits and underscores that starts with a letter",
        examples=["reviews_sentiment"],
    ),
]
#: A task of the table.
Task = Annotated[Name, AfterValidator(_known)]
Names = Annotated[list[Name], AfterValidator(_distinct)]
#: A parameter's value; ``{column: name}`` becomes ``engine.options.Column``.
Param = Annotated[
    Any,
    AfterValidator(_column),
    PlainSerializer(_uncolumn),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": ["string", "number", "boolean", "array", "object", "null"]},
                {
                    "type": "object",
                    "properties": {"column": {"type": "string"}},
                    "required": ["column"],
                    "additionalProperties": False,
                },
            ]
        }
    ),
]
#: A column, or a column for each input role. Told apart before they are checked, for one error in place of two.
Inputs = Annotated[
    Annotated[Name, Tag("a column")] | Annotated[dict[str, Name], Field(min_length=1), Tag("a mapping")],
    Discriminator(lambda value: "a mapping" if isinstance(value, dict) else "a column"),
]
Positive = Annotated[int, Field(gt=0)]
