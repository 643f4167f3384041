"""Faults are declared once each, and there are many."""

from __future__ import annotations

from tests.faults import KINDS, declared


def test_every_fault_is_told_once() -> None:
    found = list(declared())
    assert len(found) >= 25
    assert len({one.name for one in found}) == len(found)
    assert {one.of for one in found} == set(KINDS)
    assert all(one.test.startswith("test_") and one.seen and one.left for one in found)
