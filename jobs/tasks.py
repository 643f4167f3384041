"""The tasks in words, derived from ``engine.schema`` and the tasks' parameters. Imports no model library."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from engine.schema import SCHEMAS, ddl, schema_of
from engine.tasks import task_class
from engine.tasks.params import describe as describe_params


def describe(name: str | None = None) -> list[str]:
    """One text for each task, or for the named one and a job of it. Raises UnsupportedTaskError for an unknown task."""
    if name is None:
        return ["\n".join(_lines(task)) for task in SCHEMAS]
    job = "".join(f"    {line}\n" for line in example(name).splitlines())
    return ["\n".join(_lines(name)), f"  for example\n{job}".rstrip()]


def example(task: str) -> str:
    """A definition of a job of this task, with a column for each input that it needs, to start from."""
    import yaml

    inputs = {role.name: f"my_{role.name}" for role in schema_of(task).inputs if role.required}
    name = re.sub(r"\W+", "_", task)
    definition = {
        "version": 1,
        "name": f"my_{name}",
        "model": "models:/my_model@champion",
        "task": task,
        "source": {"table": "my_table", "key": ["id"], "inputs": inputs},
        "params": _params(task),
        "sink": {"table": f"my_table_{name}", "output": "result"},
    }
    given = {key: value for key, value in definition.items() if value}
    return str(yaml.safe_dump(given, sort_keys=False, default_flow_style=None, width=100))


def _params(task: str) -> dict[str, Any]:
    needed: dict[str, Any] = {one: ["this", "that"] for one in task_class(task).required}
    # without a root no path is read
    return {**needed, "roots": ["/my/recordings"]} if "roots" in task_class(task).fixed else needed


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
