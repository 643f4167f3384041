"""Lines of a batch file → requests, as columns. Runs on the executors; knows no Spark.

A line that is no request is a row that says why, in the column ``REFUSED``: one bad line never costs the others.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

import pyarrow as pa

from engine.chat.messages import half
from jobs.batches import KEY
from jobs.batches.endpoints import Endpoint, Field

#: The column that says why a line is no request; null where it is one.
REFUSED: Final = "_refused"

_TEXTS: Final = pa.list_(pa.field("element", pa.string()))
_TYPES: Final = {"int": pa.int64(), "float": pa.float64(), "texts": _TEXTS}
_MOST: Final = 1 << 63
_METHOD: Final = "POST"


class Refused(Exception):
    """Why a line is no request of this endpoint: what was expected and what came, without the line's text."""


def schema(endpoint: Endpoint) -> pa.Schema:
    """``custom_id, method, url, body``, the main input where it is not the body, the parameters, ``REFUSED``."""
    columns = dict.fromkeys((KEY, "method", "url", "body"), pa.string())
    columns.setdefault(endpoint.column, _TEXTS if endpoint.many else pa.string())
    columns |= {key: _TYPES[one.kind] for key, one in endpoint.fields.items()}
    return pa.schema([*columns.items(), (REFUSED, pa.string())])


def read(lines: pa.Array, endpoint: Endpoint) -> pa.RecordBatch:
    """Binary [lines] → ``schema(endpoint)`` [lines], in order."""
    rows = [_row(line, endpoint) for line in lines.to_pylist()]
    return pa.RecordBatch.from_pylist(rows, schema=schema(endpoint))


def _row(line: bytes, endpoint: Endpoint) -> dict[str, Any]:
    row: dict[str, Any] = {}
    try:
        _fill(row, _parsed(line), endpoint)
    except Refused as refused:
        return {KEY: row.get(KEY), REFUSED: str(refused)}
    return row


def _fill(row: dict[str, Any], request: Mapping[str, Any], endpoint: Endpoint) -> None:
    named = request.get(KEY)
    if isinstance(named, int) and not isinstance(named, bool):
        row[KEY] = str(named)  # so that its error can be found
    if not isinstance(named, str) or not named:
        raise Refused(f"expected {KEY} to be a text that is not empty, got {_kind(named)}")
    row[KEY] = _unicode(named)
    for name, wanted in (("method", _METHOD), ("url", endpoint.url)):
        if request.get(name) != wanted:
            raise Refused(f"expected {name} {wanted}, as the job's task has it, got another or none")
        row[name] = wanted
    body = request.get("body")
    if not isinstance(body, dict):
        raise Refused(f"expected body to be an object, got {_kind(body)}")
    row["body"] = _unicode(_written(body))
    if endpoint.prompt is not None:
        row[endpoint.column] = _prompt(body.get(endpoint.prompt), endpoint)
        row |= dict(_params(body, endpoint))


def _parsed(line: bytes) -> dict[str, Any]:
    try:
        request = json.loads(line.decode("utf-8-sig"), parse_constant=_no_number)
    except UnicodeDecodeError:
        raise Refused("expected a line in UTF-8, got other bytes") from None
    except json.JSONDecodeError as error:
        raise Refused(f"expected a line of JSON, it stops being JSON at character {error.pos + 1:,}") from None
    except (ValueError, RecursionError):  # a number of thousands of digits, or nested so deep
        raise Refused("expected JSON with numbers and nesting that can be read, got larger ones") from None
    if not isinstance(request, dict):
        raise Refused(f"expected an object a line, got {_kind(request)}")
    return request


def _no_number(name: str) -> None:
    raise ValueError(name)


def _written(body: Mapping[str, Any]) -> str:
    try:
        return json.dumps(body, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    except (ValueError, RecursionError):  # 1e999, or nested so deep
        raise Refused("expected JSON with numbers and nesting that can be read, got larger ones") from None


def _unicode(text: str) -> str:
    if half(text):
        raise Refused("expected Unicode text, got half of a surrogate pair")
    return text


def _prompt(value: Any, endpoint: Endpoint) -> Any:
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, list) or not texts or not all(isinstance(text, str) for text in texts):
        wanted = "a text or a list of texts" if endpoint.many else "a text"
        raise Refused(f"expected body.{endpoint.prompt} to be {wanted}, got {_kind(value)}")
    if endpoint.many:
        return texts
    if len(texts) > 1:
        raise Refused(f"expected one text in body.{endpoint.prompt}, got {len(texts):,}: write a line for each")
    return texts[0]


def _params(body: Mapping[str, Any], endpoint: Endpoint) -> list[tuple[str, Any]]:
    found = []
    for key, value in body.items():
        if value is None or key == endpoint.prompt or key in endpoint.aside:
            continue
        if key in endpoint.fields:
            found.append((key, _value(key, value, endpoint.fields[key])))
        elif value not in endpoint.neutral.get(key, ()):
            known = key in endpoint.neutral
            what = f"no body.{key}, or a value of it that asks for nothing" if known else "keys that the endpoint has"
            took = ", ".join((endpoint.prompt or "", *endpoint.fields))
            raise Refused(f"expected {what}; this job takes {took}")
    return found


def _value(key: str, value: Any, wanted: Field) -> Any:
    number = isinstance(value, int) and not isinstance(value, bool)
    if wanted.kind == "int" and number and -_MOST <= value < _MOST:
        return value
    if wanted.kind == "float" and (number or isinstance(value, float)):
        return _double(key, value)
    texts = [value] if isinstance(value, str) else value
    if wanted.kind == "texts" and isinstance(texts, list) and all(isinstance(text, str) for text in texts):
        return texts
    words = {"int": "a whole number of 64 bits", "float": "a number", "texts": "a text or a list of texts"}
    raise Refused(f"expected body.{key} to be {words[wanted.kind]}, got {_kind(value)}")


def _double(key: str, value: float) -> float:
    try:
        return float(value)
    except OverflowError:
        raise Refused(f"expected body.{key} to be a number that a double can hold, got a larger one") from None


def _kind(value: Any) -> str:
    """What a JSON value is, in words that tell nothing of it."""
    kinds = ((bool, "true or false"), (int, "a number"), (float, "a number"), (str, "a text"), (list, "a list"))
    if value is None:
        return "none"
    if isinstance(value, str | list) and not value:
        return "an empty one"
    return next((words for kind, words in kinds if isinstance(value, kind)), "an object")
