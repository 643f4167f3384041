"""The sections of a job definition. Each field says what it expects (``description``) and what to write (``examples``):
errors and the JSON Schema are made of these.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable
from typing import Any, Final, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, field_validator
from pydantic_core.core_schema import ValidationInfo

from jobs.batches import FORMAT
from jobs.fields import Inputs, Name, Names, Text, refuse
from jobs.references import reveal

#: Formats whose columns are given → these.
_COLUMNS: Final = {
    "binaryFile": "the columns path, modificationTime, length, content",
    FORMAT: "the columns custom_id, method, url, body",
}
#: Columns that every sink row carries beside key, kept columns and output.
PROVENANCE: Final = ("_run_id", "_model_version", "_dtype", "_scored_at")
#: The column that a folded source has in place of its turns.
MESSAGES: Final = "messages"

#: The folder of an openai-batch sink in which its Delta table lies.
SCORED: Final = "_scored"

T = TypeVar("T")


class Section(BaseModel):
    """Frozen; refuses unknown keys and values of another type."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, protected_namespaces=(), serialize_by_alias=True
    )


class Place(Section):
    """Where a table lies: a name in the catalog, or a path."""

    table: Text | None = Field(default=None, description="the name of a table", examples=["shop.reviews"])
    path: Text | None = Field(
        default=None,
        validate_default=True,
        description="the path of a table or file",
        examples=[".demo/tables/reviews"],
    )

    @field_validator("path")
    @classmethod
    def _one_place(cls, path: str | None, info: ValidationInfo) -> str | None:
        if "table" in info.data and (path is None) == (info.data["table"] is None):
            got = "neither" if path is None else "both"
            raise refuse("either table or path", got, "write table: name, or path: with format:")
        return path

    @property
    def shown(self) -> str:
        """Table or path as written, for messages."""
        return self.table or self.path or ""

    @property
    def location(self) -> str:
        """``table:reviews`` or ``path:.demo/tables/reviews``: revealed, spelled one way, for hashing only."""
        return _spelled(reveal(self.table), reveal(self.path or ""))

    @property
    def written(self) -> str:
        """The same with its references as they are written, which may be shown."""
        return _spelled(self.table, self.path or "")


def _spelled(table: str | None, path: str) -> str:
    if table is not None:
        return "table:" + table.replace("`", "").lower()
    scheme, _, rest = path.removeprefix("file://").removeprefix("file:").rpartition("://")
    return "path:" + (f"{scheme}://" if scheme else "") + posixpath.normpath(rest)


class Fold(Section):
    """Which columns of rows that are turns make a message, and which one orders them."""

    order: Name = Field(
        default="turn", description="the column by which a conversation's turns are ordered", examples=["turn"]
    )
    role: Name = Field(default="role", description="the column of the turn's role", examples=["role"])
    content: Name = Field(default="content", description="the column of what is said", examples=["content"])
    name: Name | None = Field(default=None, description="the column of who says it", examples=["speaker"])
    tool_calls: Name | None = Field(default=None, description="the column of tool calls", examples=["tool_calls"])
    tool_call_id: Name | None = Field(
        default=None, description="the column of the call that a tool answers", examples=["tool_call_id"]
    )

    @property
    def fields(self) -> dict[str, str]:
        """A message's fields, each with its column, role first."""
        named = {name: getattr(self, name) for name in ("role", "content", "name", "tool_calls", "tool_call_id")}
        return {name: column for name, column in named.items() if column is not None}


def _needs_less(schema: dict[str, Any]) -> None:
    """The JSON Schema of a source: a batch file brings its key and inputs."""
    needed = schema.pop("required")
    schema["if"] = {"properties": {"format": {"const": FORMAT}}, "required": ["format"]}
    schema["else"] = {"required": needed}


class Source(Place):
    """The rows to score."""

    model_config = ConfigDict(json_schema_extra=_needs_less)

    format: Literal["delta", "parquet", "csv", "json", "binaryFile", "openai-batch"] = Field(
        default="delta",
        description="delta, parquet, csv, json, binaryFile (a row a file: path, modificationTime, length, content) or "
        "openai-batch (a row a request: custom_id, method, url, body)",
        examples=["delta"],
    )
    key: Names = Field(min_length=1, description="the columns that tell rows apart, a list", examples=[["review_id"]])
    inputs: Inputs = Field(
        description="the column that the task reads, or a column for each of its inputs",
        examples=[{"text": "body"}],
    )
    fold: Fold | None = Field(
        default=None,
        description="the columns of rows that are turns of a conversation, a mapping: key tells conversations apart",
        examples=[{"order": "turn", "role": "role", "content": "content"}],
    )
    where: Text | None = Field(
        default=None, description="a SQL condition that rows must meet, a text", examples=["lang = 'en'"]
    )
    changes: Literal["fail", "ignore", "rescore"] = Field(
        default="fail",
        description="fail, ignore or rescore: what updates and deletes of rows in the source mean for rows in the sink",
        examples=["rescore"],
    )
    ddl: Text | None = Field(
        default=None,
        alias="schema",
        description="the columns of a csv, json or parquet source as Spark DDL, a text",
        examples=["review_id STRING, body STRING"],
    )
    options: dict[str, Text] = Field(
        default_factory=dict,
        validate_default=True,
        description="Spark reader options of a csv, json or binaryFile source, a mapping of texts",
        examples=[{"header": "true"}],
    )

    @property
    def row_key(self) -> list[str]:
        """The columns that tell apart the rows that are scored: of a conversation, its last turn among them."""
        return self.key if self.fold is None else [*self.key, self.fold.order]

    @field_validator("fold")
    @classmethod
    def _folded_is_free(cls, fold: Fold | None, info: ValidationInfo) -> Fold | None:
        _no_columns_of_its_own("fold", fold, info)
        taken = [MESSAGES, *info.data.get("key", [])]
        if fold is not None and fold.order in taken:
            raise refuse(f"an order that is none of {', '.join(taken)}", fold.order, "name the column of turns")
        if fold is not None and MESSAGES in taken[1:]:
            raise refuse(f"a key without {MESSAGES}, which a conversation has", MESSAGES, "rename it in a view")
        return fold

    @property
    def fed(self) -> bool:
        """Whether it is read by Delta's change data feed."""
        return self.changes != "fail"

    @field_validator("changes")
    @classmethod
    def _delta_has_a_feed(cls, changes: T, info: ValidationInfo) -> T:
        if changes != "fail" and (info.data.get("format") != "delta" or info.data.get("fold") is not None):
            raise refuse("changes: fail for files and for turns", str(changes), "remove it, or read a Delta table")
        return changes

    @field_validator("format")
    @classmethod
    def _table_is_delta(cls, format: T, info: ValidationInfo) -> T:
        if format != "delta" and info.data.get("table") is not None:
            raise refuse("delta for a table", str(format), "remove format:, or write path: in place of table:")
        return format

    @field_validator("ddl")
    @classmethod
    def _file_has_ddl(cls, ddl: str | None, info: ValidationInfo) -> str | None:
        if ddl is not None and info.data.get("format") == "delta":
            raise refuse("no schema for a delta source", "one", "remove it: a Delta table knows its columns")
        _no_columns_of_its_own("schema", ddl, info)
        return ddl

    @field_validator("options")
    @classmethod
    def _text_has_options(cls, options: dict[str, str], info: ValidationInfo) -> dict[str, str]:
        if options and info.data.get("format") in ("delta", "parquet", FORMAT):
            raise refuse(
                "options for csv, json or binaryFile only", ", ".join(options), "remove them, or write format: csv"
            )
        return options


class Sink(Place):
    """The Delta table that scored rows go to: key, kept columns, the output struct, provenance.

    With ``format: openai-batch`` it lies in the folder ``path``, and the files of that format beside it.
    """

    format: Literal["delta", "openai-batch"] = Field(
        default="delta",
        description="delta, or openai-batch (output.jsonl and errors.jsonl in the folder path, made of a Delta table)",
        examples=["delta"],
    )
    output: Name = Field(default="prediction", description="the name of the struct column", examples=["sentiment"])
    keep: Names = Field(
        default_factory=list, description="columns of the source to keep beside the key, a list", examples=[["product"]]
    )
    mode: Literal["append", "merge", "replace_where"] = Field(
        default="append",
        description="append, merge (a row takes the place of that with its key) or replace_where (all rows of "
        "the source are scored and take the place of the rows that meet replace_where)",
        examples=["append"],
    )
    replace_where: Text | None = Field(
        default=None,
        validate_default=True,
        description="a SQL condition on the sink, which every row of a run meets",
        examples=["ds = '${var:ds}'"],
    )
    parse: Name | None = Field(
        default=None,
        description="the name of one more column: the first choice's value, typed by the schema of response_format",
        examples=["answer"],
    )

    @property
    def delta(self) -> Place:
        """Where the Delta table lies."""
        return self if self.format == "delta" else Place(path=f"{(self.path or '').rstrip('/')}/{SCORED}")

    @field_validator("format")
    @classmethod
    def _files_have_a_folder(cls, format: T, info: ValidationInfo) -> T:
        if format == FORMAT and info.data.get("table") is not None:
            raise refuse("a path for files", "a table", "write path: folder in place of table:")
        return format

    @field_validator("replace_where")
    @classmethod
    def _mode_has_its_condition(cls, condition: str | None, info: ValidationInfo) -> str | None:
        mode = info.data.get("mode", "append")
        if mode == "replace_where" and condition is None:
            raise refuse("a condition beside mode: replace_where", "none", "write replace_where: ds = '${var:ds}'")
        if mode != "replace_where" and condition is not None:
            raise refuse(f"no replace_where for mode: {mode}", "one", "remove it, or write mode: replace_where")
        return condition

    @field_validator("output")
    @classmethod
    def _output_is_free(cls, output: str) -> str:
        return _free([output], [])[0]

    @field_validator("keep")
    @classmethod
    def _keep_is_free(cls, keep: list[str], info: ValidationInfo) -> list[str]:
        return _free(keep, [info.data["output"]] if "output" in info.data else [])

    @field_validator("parse")
    @classmethod
    def _parse_is_free(cls, parse: str | None, info: ValidationInfo) -> str | None:
        _free([parse] if parse else [], [info.data.get("output", ""), *info.data.get("keep", [])])
        return parse


def _no_columns_of_its_own(key: str, value: object, info: ValidationInfo) -> None:
    """Refuses what names the columns of a source, where its format gives them."""
    kind = info.data.get("format")
    if value is not None and kind in _COLUMNS:
        raise refuse(f"no {key} for a source of format {kind}", "one", f"remove it: it has {_COLUMNS[kind]}")


def _free(names: list[str], taken: Iterable[str]) -> list[str]:
    used = {name.lower() for name in (*PROVENANCE, *taken)}
    clash = [name for name in names if name.lower() in used]
    if clash:
        raise refuse("names that the sink has no other use for", ", ".join(clash), "write another name")
    return names
