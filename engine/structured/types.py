"""JSON Schema → the Arrow type of its values, and what reads them. Runs anywhere.

    object with properties       struct, in their order; a property that is left out is null
    array with items             list
    string, integer, number      string, int64, double; boolean: boolean
    enum, const                  what their values are
    anyOf or oneOf with null     what is left
    $ref                         what it leads to

Everything else has no one type (unions, recursion, objects of any names, tuples): a string that holds its JSON.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

import pyarrow as pa

from engine.errors import SchemaError
from engine.structured.values import BOOLEAN, DOUBLE, INT64, INTEGER, JSON, STRING, Typed, array_of, object_of

#: What no column of a Delta table has in its name.
_NO_NAME: Final = re.compile(r"[ ,;{}()\n\t=`]|^$")


def value_type(schema: Mapping[str, Any]) -> pa.DataType:
    """The Arrow type of a schema's values; its Spark DDL is ``engine.schema.ddl``'s.

    Raises SchemaError for properties whose names no table takes.
    """
    return typed(schema).type


def typed(schema: Mapping[str, Any]) -> Typed:
    """The type of a schema's values, with their reader. Raises as ``value_type`` does."""
    return _typed(schema, schema, ())


def _typed(schema: Any, root: Mapping[str, Any], seen: tuple[int, ...]) -> Typed:
    found = _resolved(schema, root)
    if not isinstance(found, Mapping) or id(found) in seen:
        return JSON
    seen = (*seen, id(found))
    for name in ("anyOf", "oneOf"):
        if found.keys() - _SAID == {name}:
            return _one_of(found[name], root, seen)
    if "enum" in found or "const" in found:
        return _valued(found["enum"] if "enum" in found else [found["const"]])
    kinds = found.get("type")
    kinds = [kinds] if isinstance(kinds, str) else [kind for kind in kinds or () if kind != "null"]
    if len(kinds) != 1 or found.keys() & _COMBINED:
        return JSON
    if kinds == ["object"]:
        return _object(found, root, seen)
    if kinds == ["array"]:
        return _array(found, root, seen)
    return _integer(found) if kinds == ["integer"] else _SCALARS.get(kinds[0], JSON)


def _resolved(schema: Any, root: Mapping[str, Any]) -> Any:
    for _ in range(_LINKS):
        if not isinstance(schema, Mapping) or "$ref" not in schema or schema.keys() - _SAID - {"$ref"}:
            return schema
        schema = _target(schema["$ref"], root)
    return None


def _target(ref: str, root: Any) -> Any:
    if ref != "#" and not ref.startswith("#/"):
        return None
    from urllib.parse import unquote

    for step in unquote(ref[2:]).split("/") if len(ref) > 1 else ():
        name = step.replace("~1", "/").replace("~0", "~")
        root = root.get(name) if isinstance(root, Mapping) else None
    return root


def _one_of(branches: Any, root: Mapping[str, Any], seen: tuple[int, ...]) -> Typed:
    left = [one for one in branches if not (isinstance(one, Mapping) and one.get("type") == "null")]
    return _typed(left[0], root, seen) if len(left) == 1 else JSON


def _valued(values: list[Any]) -> Typed:
    values = [value for value in values if value is not None]
    kinds = {type(value) for value in values}
    if kinds == {int}:
        return _integer({"minimum": min(values), "maximum": max(values)})
    if kinds <= {int, float} and kinds:
        return DOUBLE
    return STRING if kinds == {str} else BOOLEAN if kinds == {bool} else JSON


def _integer(found: Mapping[str, Any]) -> Typed:
    """int64, unless the schema's own bounds go beyond it."""
    low, high = INT64
    within = found.get("minimum", low) >= low and found.get("maximum", high) <= high
    return INTEGER if within else JSON


def _object(found: Mapping[str, Any], root: Mapping[str, Any], seen: tuple[int, ...]) -> Typed:
    properties = found.get("properties") or {}
    others = "patternProperties" in found or found.get("additionalProperties", False) is not False
    if not properties or others or not set(found.get("required", ())) <= properties.keys():
        return JSON
    wrong = [name for name in properties if _NO_NAME.search(name)]
    lower = [name.lower() for name in properties]
    wrong += [name for name in properties if lower.count(name.lower()) > 1]
    if wrong:
        raise SchemaError(
            f"expected properties whose names a table's fields can have, got {', '.join(map(repr, wrong))}: rename "
            "them; names differ in more than case and have no space, comma, bracket, = or backtick"
        )
    return object_of({name: _typed(part, root, seen) for name, part in properties.items()})


def _array(found: Mapping[str, Any], root: Mapping[str, Any], seen: tuple[int, ...]) -> Typed:
    if not isinstance(found.get("items"), Mapping) or "prefixItems" in found:
        return JSON
    return array_of(_typed(found["items"], root, seen))


#: Links that a $ref may lead through.
_LINKS: Final = 32
#: Keywords that say nothing of what a value is.
_SAID: Final = frozenset(("$schema", "$id", "$defs", "definitions", "$comment", "$anchor", "title")) | frozenset(
    ("description", "default", "examples", "deprecated", "readOnly", "writeOnly", "discriminator")
)
_COMBINED: Final = frozenset(("anyOf", "oneOf", "allOf", "$ref"))
_SCALARS: Final[Mapping[str, Typed]] = {"string": STRING, "boolean": BOOLEAN, "number": DOUBLE}
