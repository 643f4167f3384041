"""A finished text against the form that was asked for. Runs in the worker."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final, NoReturn

from engine.errors import RowError
from engine.structured.formats import KEPT, Format, read_format

_WHOLE: Final = "raise max_tokens where finish_reason is length"


def check_value(response_format: Mapping[str, Any], text: str) -> None:
    """Raises RowError(incomplete) where a text is no whole value of its response_format.

    A text of a schema is one JSON value that jsonschema finds valid under the draft that ``$schema`` names, else under
    2020-12; one of a pattern matches it from end to end; one of choices is among them. Raises ParameterError as
    ``grammar_for`` does.
    """
    asked = read_format(response_format)
    if asked is not None:
        check_text(asked, text)


def check_text(asked: Format, text: str) -> None:
    """The same for a format that was read."""
    if asked.schema is not None:
        _check_json(asked, text)
    elif asked.pattern is not None and not _matches(asked, text):
        raise RowError("incomplete", f"expected a text that matches the whole pattern, got another: {_WHOLE}")
    elif asked.choices and text not in asked.choices:
        raise RowError("incomplete", f"expected one of the choices, got another text: {_WHOLE}")


def validator_class(schema: Any) -> Any:
    """jsonschema's validator of the draft that a schema names, else of 2020-12."""
    from jsonschema import Draft202012Validator
    from jsonschema.validators import validator_for

    return validator_for(schema, default=Draft202012Validator)


def _check_json(asked: Format, text: str) -> None:
    try:
        value = json.loads(text, parse_constant=_no_json, parse_float=_number)
        json.dumps(value, ensure_ascii=False).encode()  # half of a surrogate pair is no text
        found = next(_validator(asked.key).iter_errors(value), None)
    except (ValueError, RecursionError):
        raise RowError("incomplete", f"expected one whole JSON value, got none: {_WHOLE}") from None
    if found is not None:
        raise RowError("incomplete", f"expected a value of the schema, its {found.validator} is not met: {_WHOLE}")


def _no_json(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON")


def _number(text: str) -> float:
    value = float(text)
    if value in (float("inf"), float("-inf")):
        raise ValueError("expected a number that a double holds")
    return value


@lru_cache(maxsize=KEPT)
def _validator(key: str) -> Any:
    from referencing import Registry

    asked = read_format(json.loads(key))
    assert asked is not None
    cls = validator_class(asked.schema)
    return cls(asked.schema, format_checker=cls.FORMAT_CHECKER, registry=Registry())  # an empty one: nothing is fetched


def _matches(asked: Format, text: str) -> bool:
    """By the grammar's own matcher over bytes: the syntax it was compiled from, in time that grows with the text."""
    from engine.structured.grammar import bytewise

    matcher = bytewise(asked).deep_copy()
    taken = list(text.encode(errors="surrogatepass"))
    return bool(matcher.try_consume_tokens(taken) == len(taken) and matcher.is_accepting())
