"""The part of JSON Schema that answers are held to, and the schema that a grammar is made of. Runs anywhere.

Keywords that the grammar library has no grammar for (``uniqueItems``, ``not``, ``if``, …) it refuses by name; here
stands what it would let pass. Unknown keywords say nothing, as JSON Schema has it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, TypeAlias

from engine.errors import ParameterError

Schema: TypeAlias = Mapping[str, Any]

#: Integers of answers lie within ±(2⁵³ - 1) where their schema names no bounds: those that every reader of JSON keeps
#: (RFC 8259, section 6), and a model can't write digits without end.
INTEGER: Final = 2**53 - 1
#: Formats that are held to.
FORMATS: Final = ("date", "time", "date-time", "duration", "email", "hostname", "ipv4", "ipv6", "uuid", "uri")
_NAMED: Final = ("properties", "patternProperties", "$defs", "definitions")
_LISTED: Final = ("anyOf", "allOf", "oneOf", "prefixItems", "items")
_ONE: Final = ("items", "additionalProperties", "additionalItems", "not", "if", "then", "else", "contains")
_COMBINE: Final = ("properties", "$ref", "anyOf", "oneOf")


def check(schema: Schema) -> None:
    """Raises ParameterError, with the place, where it is no JSON Schema or would be held to only in part."""
    from jsonschema import exceptions

    from engine.structured.check import validator_class

    try:
        validator_class(schema).check_schema(schema)
    except exceptions.SchemaError as error:
        place = ".".join(["schema", *map(str, error.absolute_path)])
        raise ParameterError(f"expected a JSON Schema in response_format, {place} is none: {_short(error)}") from None
    for place, part in walk(schema):
        _check_part(place, part)


def held(schema: Schema) -> dict[str, Any]:
    """The schema that a grammar is made of: every value it allows is one of ``schema``.

    Integers without bounds get them, and an object that names properties but not whether it may have others has none.
    """
    closed = not any("allOf" in part or sum(name in part for name in _COMBINE) > 1 for _, part in walk(schema))
    made: dict[str, Any] = _rebuilt(schema, closed=closed)
    return made


def walk(schema: Any, place: str = "schema") -> Iterator[tuple[str, Schema]]:
    """The schema and every schema in it, with its place: ``schema.properties.tags``."""
    if not isinstance(schema, Mapping):
        return
    yield place, schema
    for name, part in schema.items():
        if name in _NAMED and isinstance(part, Mapping):
            for key, one in part.items():
                yield from walk(one, f"{place}.{name}.{key}")
        elif name in _LISTED and isinstance(part, list):
            for number, one in enumerate(part):
                yield from walk(one, f"{place}.{name}.{number}")
        elif name in _ONE:
            yield from walk(part, f"{place}.{name}")


def _check_part(place: str, part: Schema) -> None:
    if "format" in part and part["format"] not in FORMATS:
        raise ParameterError(
            f"expected {place}.format among {', '.join(FORMATS)}, got {part['format']!r}: answers can't be held to it"
        )
    if not str(part.get("$ref", "#")).startswith("#"):
        raise ParameterError(f"expected {place}.$ref to lead to a place in the schema (#/…): nothing is fetched")
    if "x-guidance" in part:
        raise ParameterError(f"expected no x-guidance at {place}: how answers are written is not a schema's to say")
    if part.get("minProperties", 0) > len(part.get("required", ())):
        # An object may write one name twice, of which readers keep one.
        raise ParameterError(
            f"expected {place}.minProperties of at most the number of required properties: name them in required"
        )


def _rebuilt(schema: Any, *, closed: bool) -> Any:
    if not isinstance(schema, Mapping):
        return schema
    made: dict[str, Any] = {}
    for name, part in schema.items():
        if name in _NAMED and isinstance(part, Mapping):
            made[name] = {key: _rebuilt(one, closed=closed) for key, one in part.items()}
        elif name in _LISTED and isinstance(part, list):
            made[name] = [_rebuilt(one, closed=closed) for one in part]
        else:
            made[name] = _rebuilt(part, closed=closed) if name in _ONE else part
    if closed and _open(made):
        made["additionalProperties"] = False
    return _bounded(made)


def _open(made: Schema) -> bool:
    if "properties" not in made or made.keys() & {"patternProperties", "additionalProperties"}:
        return False
    return bool(set(made.get("required", ())) <= made["properties"].keys())


def _bounded(made: dict[str, Any]) -> dict[str, Any]:
    kinds = [made["type"]] if isinstance(made.get("type"), str) else made.get("type", ())
    if "integer" not in kinds or "number" in kinds or made.keys() & {"enum", "const"}:
        return made
    low = made.get("minimum", made.get("exclusiveMinimum"))
    high = made.get("maximum", made.get("exclusiveMaximum"))
    if low is None and (high is None or high > -INTEGER):
        made["minimum"] = -INTEGER
    if high is None and (low is None or low < INTEGER):
        made["maximum"] = INTEGER
    return made


def _short(error: Exception) -> str:
    return str(getattr(error, "message", error)).splitlines()[0][:120]
