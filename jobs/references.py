"""``${env:NAME}``: secrets that a definition names and never holds.

A definition keeps the reference, so whatever prints it (repr, JSON, plan, summary) shows the reference. ``reveal``
gives the value at the one place where it is used; ``mask`` takes revealed values out of text that others wrote
(Spark's messages) before it is shown. Everything here runs on the driver.
"""

from __future__ import annotations

import os
import re
from typing import Final, TypeVar

from jobs.errors import DefinitionError, Problem

REFERENCE: Final = re.compile(r"\$\{(?P<source>\w+):(?P<name>[^{}]*)\}")
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_VARIABLE: Final = re.compile(r"\w+")
#: A shorter value is no secret, and masking it would mangle every message.
_SHORTEST: Final = 4

_revealed: set[str] = set()

T = TypeVar("T", str, str | None)


def reveal(text: T) -> T:
    """The text with every ``${env:NAME}`` replaced by the variable's value. None stays None.

    Raises DefinitionError where the variable is unset. Never put what this returns into a message or a log.
    """
    if text is None:
        return text
    wrong = problems(text, file="", line=None, key="")
    if wrong:
        raise DefinitionError(wrong)
    return REFERENCE.sub(_value, text)


def mask(text: str) -> str:
    """The text with every value that was revealed replaced by its reference."""
    values = {os.environ.get(name, ""): name for name in _revealed}
    for value in sorted(values, key=len, reverse=True):
        if len(value) >= _SHORTEST:
            text = text.replace(value, f"${{env:{values[value]}}}")
    return text


def problems(text: str, *, file: str, line: int | None, key: str) -> list[Problem]:
    """What is wrong with the references in a text: an unset variable, or something that is not ``${env:NAME}``."""
    found = []
    for match in REFERENCE.finditer(text):
        source, name = match["source"], match["name"]
        if source == "var" and _VARIABLE.fullmatch(name):  # jobs.variables has told of it
            continue
        if source != "env" or not _NAME.fullmatch(name):
            expected, got, hint = "${env:NAME}", match[0], "write ${env:NAME} with the name of an environment variable"
        elif name not in os.environ:
            expected, got, hint = (
                f"the environment variable {name} to be set",
                "nothing",
                f"write export {name}=… first",
            )
        else:
            continue
        found.append(Problem(file=file, line=line, key=key, expected=expected, got=got, hint=hint))
    return found


def _value(match: re.Match[str]) -> str:
    _revealed.add(match["name"])
    return os.environ[match["name"]]
