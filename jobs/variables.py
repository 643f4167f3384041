"""``${var:NAME}``: values that a command gives for one run, such as a date. Runs on the driver.

They are put into a definition as it is read, so that whatever is made of it (its identity too) has the value.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from jobs.errors import DefinitionError, Problem
from jobs.located import Key, Located

_REFERENCE: Final = re.compile(r"\$\{var:(?P<name>\w+)\}")
#: What would end a quoted text in SQL.
_NOT_PLAIN: Final = re.compile(r"[\'\"`\\\n\r]")
_OPTION: Final = "--var"


def parse(assignments: Sequence[str]) -> dict[str, str]:
    """``["ds=2026-11-23"]`` → name → value. Raises DefinitionError for what is none, and for quotes in a value."""
    found: dict[str, str] = {}
    for assignment in assignments:
        name, equals, value = assignment.partition("=")
        if not equals or not name.isidentifier():
            raise DefinitionError([_problem("NAME=VALUE", assignment, "write --var ds=2026-11-23")])
        if _NOT_PLAIN.search(value):
            raise DefinitionError([_problem(f"{name} without quotes", "some", "write the value without them")])
        found[name] = value
    return found


def fill(found: Located, variables: Mapping[str, str]) -> None:
    """Puts the values in the place of their references; one that has none is a problem of its key."""
    found.data = _filled(found, found.data, (), variables)


def named(value: Any) -> Iterator[str]:
    """The name of every reference in plain data, as often as it stands there."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for one in value:
            yield from named(one)
    elif isinstance(value, str):
        yield from (match["name"] for match in _REFERENCE.finditer(value))


def _filled(found: Located, value: Any, key: Key, variables: Mapping[str, str]) -> Any:
    if isinstance(value, dict):
        return {name: _filled(found, one, (*key, name), variables) for name, one in value.items()}
    if isinstance(value, list):
        return [_filled(found, one, (*key, at), variables) for at, one in enumerate(value)]
    if not isinstance(value, str):
        return value
    for name in dict.fromkeys(match["name"] for match in _REFERENCE.finditer(value)):
        if name not in variables:
            found.add(key, f"a value for ${{var:{name}}}", "none", f"write --var {name}=… on the command line")
    return _REFERENCE.sub(lambda match: variables.get(match["name"], match[0]), value)


def _problem(expected: str, got: str, hint: str) -> Problem:
    return Problem(file=_OPTION, line=None, key="", expected=expected, got=got, hint=hint)
