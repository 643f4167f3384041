"""The faults that tests inject: each test says with ``fault`` what goes wrong, and docs/reliability.md is made of that.

``pytest -m fault`` runs them all.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

ROOT: Final = Path(__file__).resolve().parents[1]
#: What may fail: a table each in docs/reliability.md.
KINDS: Final = ("processes", "storage", "the source", "the sink", "the model", "rows", "runs")


@dataclass(frozen=True)
class Fault:
    """What goes wrong.

    Args:
        name: what happens, a sentence without its full stop.
        of: one of ``KINDS``.
        seen: what the user sees.
        left: what is left to do.
        file: of the test that injects it, from the root of the house.
        test: its name.
    """

    name: str
    of: str
    seen: str
    left: str
    file: str
    test: str


def fault(name: str, *, of: str, seen: str, left: str) -> Any:
    """Marks a test as one that injects a fault. Its words are read from the file: they are plain texts."""
    assert of in KINDS, of
    return pytest.mark.fault(name)


def declared(root: Path = ROOT / "tests") -> Iterator[Fault]:
    """Every fault that a test declares, in the order of files and lines; nothing is imported."""
    for path in sorted(root.rglob("test_*.py")):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            for call in getattr(node, "decorator_list", []):
                if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "fault":
                    words = {one.arg: ast.literal_eval(one.value) for one in call.keywords if one.arg}
                    words["file"] = path.relative_to(root.parent).as_posix()
                    yield Fault(ast.literal_eval(call.args[0]), test=getattr(node, "name", ""), **words)
