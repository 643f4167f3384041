"""What a run says of itself that had to end before its last row."""

from __future__ import annotations

from threading import Event
from types import SimpleNamespace
from typing import Any

import pytest

from jobs import runner
from jobs.commits import Totals
from jobs.epochs import Epoch, Epochs
from jobs.errors import LimitReachedError


@pytest.mark.parametrize(("following", "version"), [(None, 3), (Epoch(number=1), None)])
def test_a_version_of_the_table_beside_the_sink_is_none_of_the_sink(
    monkeypatch: pytest.MonkeyPatch, following: Epoch | None, version: int | None
) -> None:
    reached = LimitReachedError("6 rows were scored")

    def stop(*_: Any) -> None:
        raise reached

    monkeypatch.setattr(runner.stream, "drain", stop)
    bounded = SimpleNamespace(trigger=None)
    commits: Any = SimpleNamespace(definition=bounded, totals=Totals(commits=1, sink_version=3))
    nothing: Any = None
    found = Epochs(current=Epoch(), following=following)
    assert runner._scored(nothing, nothing, commits, nothing, found, Event()) == (reached, None)
    assert commits.totals.sink_version == version
