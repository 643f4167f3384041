"""The tasks in words, derived from ``engine.schema`` and the tasks' parameters. Imports no model library."""

from __future__ import annotations

from collections.abc import Iterator

from engine.schema import SCHEMAS, ddl, schema_of
from engine.tasks.params import describe as describe_params


def describe(name: str | None = None) -> list[str]:
    """One text for each task, or for the named one. Raises UnsupportedTaskError for a task that there is not."""
    return ["\n".join(_lines(task)) for task in ([name] if name else SCHEMAS)]


def _lines(task: str) -> Iterator[str]:
    schema = schema_of(task)
    yield task
    yield "  inputs"
    for role in schema.inputs:
        yield f"    {role.name}: {role.words}" + ("" if role.required else " (optional)")
    yield "  params"
    for parameter, kind, default in describe_params(task):
        yield f"    {parameter}: {kind} = {default}"
    yield "  output"
    for field in schema.output.fields:
        yield f"    {field.name}: {ddl(field.type)}"
