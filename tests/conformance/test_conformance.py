"""Every task of the schema table keeps the contract."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

from engine.schema import SCHEMAS
from tests.conformance.base import TaskConformance


def subclasses(of: type) -> Iterator[type]:
    for one in of.__subclasses__():
        yield one
        yield from subclasses(one)


def test_every_task_keeps_the_contract() -> None:
    for path in Path(__file__).parent.glob("test_*.py"):
        import_module(f"tests.conformance.{path.stem}")
    assert {one.task for one in subclasses(TaskConformance) if hasattr(one, "task")} == SCHEMAS.keys()
