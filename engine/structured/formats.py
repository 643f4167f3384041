"""What a response_format asks for, as OpenAI and vLLM write it. Runs anywhere."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final

from engine.errors import ParameterError
from engine.structured import dialect

#: Formats that a process keeps ready; those of rows may be as many as rows.
KEPT: Final = 256


@dataclass(frozen=True)
class Format:
    """A form of answers; one of ``schema``, ``pattern`` and ``choices`` is given.

    Args:
        key: JSON of the response_format it was read from, in its order, which is that of an answer's properties, too.
        schema: JSON Schema of the value that the text is.
        pattern: regular expression that the whole text matches, in the syntax of Rust's regex.
        choices: texts of which the text is one.
    """

    key: str
    schema: Mapping[str, Any] | None = field(default=None, compare=False)
    pattern: str | None = None
    choices: tuple[str, ...] = ()


def read_format(response_format: Mapping[str, Any]) -> Format | None:
    """What is asked for; None where any text will do.

    Raises ParameterError for what is no response_format, and for a schema that is no JSON Schema or has keywords that
    answers can't be held to.
    """
    try:
        return _read(json.dumps(response_format, allow_nan=False))
    except RecursionError:
        raise ParameterError("expected a response_format of fewer levels: Python can't follow this one") from None
    except (TypeError, ValueError) as error:
        raise ParameterError(f"expected a response_format of JSON values, got {type(error).__name__}") from error


@lru_cache(maxsize=KEPT)
def _read(key: str) -> Format | None:
    given = json.loads(key)
    kind = given.get("type") if isinstance(given, dict) else None
    if not isinstance(kind, str) or kind not in _KINDS:
        raise ParameterError(f"expected response_format to have a type among {', '.join(_KINDS)}, got {kind!r}")
    part, read = _KINDS[kind]
    # A struct column has every field in every row, null where it says nothing.
    others = sorted(name for name, value in given.items() if name not in ("type", part) and value is not None)
    if others:
        raise ParameterError(f"expected a response_format of type {kind} to have no {', '.join(others)}: remove it")
    return read(key, given.get(part))


def _json_schema(key: str, part: Any) -> Format:
    if not isinstance(part, dict) or not isinstance(part.get("schema"), dict):
        raise ParameterError("expected response_format.json_schema.schema, a JSON Schema: write {name: …, schema: {…}}")
    others = sorted(part.keys() - {"name", "description", "schema", "strict"})
    if others:
        raise ParameterError(f"expected name, description, schema and strict in json_schema, got {', '.join(others)}")
    dialect.check(part["schema"])
    return Format(key, schema=part["schema"])


def _regex(key: str, part: Any) -> Format:
    if not isinstance(part, str) or not part:
        raise ParameterError("expected response_format.pattern, a regular expression that the whole text matches")
    return Format(key, pattern=_unanchored(part))


def _choice(key: str, part: Any) -> Format:
    if not isinstance(part, list) or not part or not all(isinstance(one, str) and one for one in part):
        raise ParameterError("expected response_format.choices, a list of texts that are not empty, at least one")
    return Format(key, choices=tuple(part))


def _unanchored(pattern: str) -> str:
    """Without ``^`` in front and ``$`` behind, which change nothing where the whole text has to match."""
    end = pattern.removesuffix("$")
    escaped = (len(end) - len(end.rstrip("\\"))) % 2
    return (pattern if escaped else end).removeprefix("^")


#: type → where it says more, and what reads that.
_KINDS: Final[Mapping[str, tuple[str, Callable[[str, Any], Format | None]]]] = {
    "text": ("", lambda key, part: None),
    "json_object": ("", lambda key, part: Format(key, schema={"type": "object"})),
    "json_schema": ("json_schema", _json_schema),
    "regex": ("pattern", _regex),
    "choice": ("choices", _choice),
}
