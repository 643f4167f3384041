"""Rows that end the process which scores them, by a process that does nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from engine.errors import DeviceError, ModelNotFoundError
from engine.options import Compute, Request
from engine.schema import schema_of
from engine.scorer import Scored
from tests.deadly import Deadly
from udfs import apart
from udfs.apart import Isolation, Process

TASK = "text-classification"


def fake(calls: str, known_as: str = "") -> Deadly:
    request, compute = Request(inputs={"text": "body"}), Compute(max_seconds_per_batch=1.0)
    return Deadly(TASK, request, compute, None, known_as=known_as, calls=calls)  # type: ignore[arg-type]


@pytest.fixture
def calls(tmp_path: Path) -> Path:
    return tmp_path / "calls"


@pytest.fixture
def isolation(calls: Path) -> Iterator[Isolation]:
    with Process(fake(str(calls))) as process:
        yield Isolation(process, schema_of(TASK), ("body",))


def table(*bodies: str | None) -> pa.RecordBatch:
    return pa.record_batch({"id": range(len(bodies)), "body": pa.array(bodies, pa.string())})


def seen(scored: list[Scored]) -> list[tuple[int, Any]]:
    """(id, score or the error's code) of each row."""
    found: list[tuple[int, Any]] = []
    for one in scored:
        for at, row in zip(one.batch["id"].to_pylist(), one.result.to_pylist(), strict=True):
            found.append((at, row and (row["error"]["code"] if row["error"] else row["score"])))
    return found


def test_rows_that_end_the_process_are_set_aside(isolation: Isolation, calls: Path) -> None:
    rows = table("a", "kills", "bcd", None, "kills", "hangs", "ef")
    scored = list(isolation.score(rows))
    killed = "worker_killed"
    assert seen(scored) == [(0, 1.0), (1, killed), (2, 3.0), (3, None), (4, killed), (5, killed), (6, 2.0)]
    assert [(one.stats.rows, one.stats.failed) for one in scored if one.stats.failed] == [(1, 1)] * 3
    assert sum(one.stats.rows for one in scored) == 7
    messages = [one.result[0].as_py()["error"]["message"] for one in scored if one.stats.failed]
    assert [message.partition(", among")[0] for message in messages] == [
        "the process that scored this row was killed by signal 9",
        "the process that scored this row was killed by signal 9",
        "the process that scored this row ended with code 1",
    ]
    assert not [message for message in messages if "kills" in message or "hangs" in message]
    assert calls.read_text().split().count("kills") == 2  # among others and alone; an equal row is not tried


def test_what_was_found_is_known_to_the_next_rows(isolation: Isolation, calls: Path) -> None:
    assert seen(list(isolation.score(table("kills")))) == [(0, "worker_killed")]
    assert seen(list(isolation.score(table("a", "bc")))) == [(0, 1.0), (1, 2.0)]
    assert seen(list(isolation.score(table("kills", "d")))) == [(0, "worker_killed"), (1, 1.0)]
    assert calls.read_text().split().count("kills") == 3


def test_many_rows_that_kill_are_no_rows_fault(isolation: Isolation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apart, "MOST", 1)
    with pytest.raises(DeviceError, match=r"expected at most 1 rows of a task that kill .* the last one was killed by"):
        list(isolation.score(table("kills", "kills more")))


def test_a_model_that_can_not_be_loaded_is_no_rows_fault() -> None:
    with Process(fake("", "missing")) as process, pytest.raises(ModelNotFoundError, match="there is none"):
        process.score(table("a"))
    with Process(fake("", "dies")) as process, pytest.raises(DeviceError, match="it ended with code 7 before it had"):
        process.score(table("a"))


def test_errors_of_others_travel_without_their_words(isolation: Isolation) -> None:
    with pytest.raises(RuntimeError, match="KeyError in a process apart"):
        list(isolation.score(pa.record_batch({"other": ["secret"]})))
