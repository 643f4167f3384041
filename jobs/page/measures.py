"""What is counted of a task's answers: labels, lengths, durations; derived from its struct. Runs on the driver."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

import pyarrow as pa

from engine.options import Column
from engine.schema import SCHEMAS


@dataclass(frozen=True)
class Measure:
    """A figure of an answer, whose distribution is shown.

    Args:
        title: of it, for people.
        path: of the field in the output struct; through a list, of each element.
        kind: of named values, or of numbers: in equal steps, or in steps that grow with the number.
    """

    title: str
    path: str
    kind: Literal["name", "linear", "growing"]

    @property
    def listed(self) -> bool:
        """Whether an answer may have several."""
        return "." in self.path and not self.path.startswith(("usage.", "error."))


ERROR: Final = Measure("errors by code", "error.code", "name")
#: Values that the engine or the model words, never a row; in the order in which they are shown.
_KNOWN: Final = (
    Measure("labels", "label", "name"),
    Measure("entities", "entities.entity", "name"),
    Measure("why texts ended", "choices.finish_reason", "name"),
    Measure("why texts ended", "finish_reason", "name"),
    Measure("languages", "language", "name"),
    Measure("scores", "score", "linear"),
    Measure("tokens of an input", "tokens", "growing"),
    Measure("tokens of a prompt", "usage.prompt_tokens", "growing"),
    Measure("tokens of a prompt", "prompt_tokens", "growing"),
    Measure("tokens of an answer", "usage.completion_tokens", "growing"),
    Measure("tokens of an answer", "completion_tokens", "growing"),
    Measure("seconds of a recording", "duration_s", "growing"),
)


def measures(task: str, params: Mapping[str, Any]) -> tuple[Measure, ...]:
    """Those that the answers of a task have; the errors are the last.

    Nothing but errors of a model outside the task table, whose fields may hold what rows say; no labels where a column
    gives them.
    """
    if task not in SCHEMAS:
        return (ERROR,)
    output = SCHEMAS[task].output
    by_row = isinstance(params.get("candidate_labels"), Column)
    return (*(one for one in _KNOWN if _has(output, one.path) and not (by_row and one.path == "label")), ERROR)


def _has(struct: pa.DataType, path: str) -> bool:
    name, _, rest = path.partition(".")
    if pa.types.is_list(struct):
        struct = struct.value_type
    if not pa.types.is_struct(struct) or struct.get_field_index(name) < 0:
        return False
    return not rest or _has(struct.field(name).type, rest)
