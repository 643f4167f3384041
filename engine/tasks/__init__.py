"""The tasks: one file each, one line here. Importing this imports no model library."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any, Final

from engine.schema import schema_of
from engine.tasks.base import Encoded, Task

TASKS: Final[Mapping[str, str]] = {
    "text-classification": "engine.tasks.text_classification:TextClassification",
    "embeddings": "engine.tasks.embeddings:Embeddings",
}


def task_class(name: str) -> Any:
    """The class of a task. Raises UnsupportedTaskError with the list of tasks where there is none."""
    schema_of(name)
    module, _, attribute = TASKS[name].partition(":")
    return getattr(import_module(module), attribute)


__all__ = ["TASKS", "Encoded", "Task", "task_class"]
