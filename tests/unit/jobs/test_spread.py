"""How many tasks a table makes: by its partitions, the workers and the seconds that its rows take."""

from __future__ import annotations

from typing import Any

import pytest

from jobs.spread import most_tasks, spread, tasks, told
from jobs.summary import Planned


def planned(rows: int, rows_per_s: float) -> Planned:
    return Planned(rows=rows, rows_per_s=rows_per_s, seconds=0.0)


def test_a_task_has_two_seconds_of_a_worker_or_a_worker_four_tasks() -> None:
    assert most_tasks(planned(20_000, 200.0), 2) == 100  # 100 s of two workers
    assert most_tasks(planned(20_000, 2_000.0), 2) == 10
    assert most_tasks(planned(1_000, 2_000.0), 2) == 8
    assert most_tasks(planned(10**9, 10_000.0), 1000) == 50_000_000
    assert most_tasks(planned(0, 200.0), 2) is None
    assert most_tasks(planned(20_000, 0.0), 2) is None


@pytest.mark.parametrize(
    ("parts", "most", "wanted", "said"),
    [
        (1, 100, 4, "4 (1 in the source, made more so that every worker has one)"),
        (1, None, 4, "4 (1 in the source, made more so that every worker has one)"),
        (10_000, 100, 100, "100 (10,000 in the source, put together so that each has 2 s of work)"),
        (10_000, None, 10_000, "10,000 (as the source has them)"),
        (60, 100, 60, "60 (as the source has them)"),
    ],
)
def test_the_partitions_become_so_many_tasks(parts: int, most: int | None, wanted: int, said: str) -> None:
    rows = Rows(parts)
    assert tasks(parts, 4, most) == wanted
    assert told(parts, 4, most) == said
    assert spread(rows, 4, most).parts == wanted  # type: ignore[arg-type, attr-defined]
    assert rows.moved is (parts < 4)


class Rows:
    """What ``spread`` asks of a DataFrame."""

    def __init__(self, parts: int) -> None:
        self.parts, self.moved = parts, False

    @property
    def rdd(self) -> Any:
        return self

    def getNumPartitions(self) -> int:
        return self.parts

    def repartition(self, parts: int) -> Rows:
        self.moved = True
        return Rows(parts)

    def coalesce(self, parts: int) -> Rows:
        return Rows(parts)
