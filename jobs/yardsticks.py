"""What of a task's struct is compared with that of another model, and the Spark SQL that measures it.

It goes by the task's fields: labels, texts, answers, entities, the words of masks; scores and other numbers; vectors by
their cosine. ``{0}`` and ``{1}`` stand for the two structs' columns. Runs on the driver, as text.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import pyarrow as pa

from engine.schema import SCHEMAS, TaskSchema

#: Field → what it makes of a row, and the SQL for it; the first one that a task has counts.
_WORDS: Final[Mapping[str, tuple[str, str]]] = {
    "label": ("labels", "{0}.label"),
    "text": ("texts", "{0}.text"),
    "answer": ("answers", "{0}.answer"),
    "entities": ("entities", "transform({0}.entities, one -> struct(one.entity, one.start, one.end))"),
    "masks": ("words", "transform({0}.masks, one -> get(one, 0).token)"),
    "turns": (
        "answers",
        "struct(transform({0}.choices, one -> struct(one.message.content, one.message.tool_calls.function)), "
        "{0}.turns.content)",
    ),
    "choices": ("texts", "{0}.choices.text"),
}
#: The largest difference between the scores of one label; labels that one side lacks are left out.
_SCORES: Final = (
    "array_max(transform({0}.scores, x -> abs(double(x.score) - "
    "double(get(filter({1}.scores, y -> y.label = x.label), 0).score))))"
)
_DOT: Final = "aggregate(zip_with({0}, {1}, (u, v) -> double(u) * double(v)), 0D, (total, w) -> total + w)"
#: The cosine of each pair of two lists of vectors; null where these differ in length, or one is all zeros.
_COSINES: Final = "zip_with({{0}}, {{1}}, (x, y) -> try_divide({xy}, sqrt({xx}) * sqrt({yy})))".format(
    xy=_DOT.format("x", "y"), xx=_DOT.format("x", "x"), yy=_DOT.format("y", "y")
)


def words(task: str, gives: TaskSchema) -> tuple[str, str] | None:
    """What rows are called the same by, and the SQL that says whether they are.

    Of a task outside the table its own texts count. None where a struct has no word.
    """
    if task in SCHEMAS:
        names = {field.name for field in gives.fields}
        found = next((_WORDS[name] for name in _WORDS if name in names), None)
    else:
        texts = [f"{{0}}.`{field.name}`" for field in gives.fields if pa.types.is_string(field.type)]
        found = ("texts", f"struct({', '.join(texts)})") if texts else None
    return None if found is None else (found[0], f"{found[1]} <=> {found[1].replace('{0}', '{1}')}")


def numbers(task: str, gives: TaskSchema) -> dict[str, str]:
    """Number → the SQL of how far the two are from each other.

    A number beside words belongs to them: where these differ it is null.
    """
    if task in SCHEMAS and any(field.name == "scores" for field in gives.fields):
        return {"scores": _SCORES}
    names = [field.name for field in gives.fields if pa.types.is_floating(field.type)]
    found = {name: f"abs(double({{0}}.`{name}`) - double({{1}}.`{name}`))" for name in names}
    said = words(task, gives)
    return found if said is None else {name: f"IF({said[1]}, {sql}, NULL)" for name, sql in found.items()}


def cosines(task: str, gives: TaskSchema) -> str | None:
    """The SQL of the cosines of a row's vectors, a list of doubles; None for a task that gives none."""
    found = next(filter(None, (_vectors(task, field) for field in gives.fields)), None)
    return None if found is None else _COSINES.format(found, found.replace("{0}", "{1}"))


def _vectors(task: str, field: pa.Field) -> str | None:
    """The SQL of the vectors in a field, a list."""
    kind, column = field.type, f"{{0}}.`{field.name}`"
    if task in SCHEMAS and field.name == "data":
        return f"{column}.embedding"
    if not pa.types.is_list(kind):
        return None
    if pa.types.is_floating(kind.value_type):
        return f"array({column})"
    nested = pa.types.is_list(kind.value_type) and pa.types.is_floating(kind.value_type.value_type)
    return column if nested else None
