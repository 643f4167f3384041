from __future__ import annotations

from dataclasses import replace

from engine.stats import Stats
from jobs.commits import Totals
from jobs.course import MOST, Course, Step


def test_neighbours_are_joined_to_what_both_say() -> None:
    one = Step(seconds=2.0, rows=10, failed=1, partitions=4, p50_s=0.5, p99_s=1.5, longest_s=1.6)
    later = Step(seconds=3.0, rows=30, failed=1, partitions=2, p50_s=0.4, p99_s=2.0, longest_s=2.0)
    assert one.joined(later) == replace(later, partitions=6, p50_s=0.5)


def test_the_steps_of_a_long_run_are_few_and_lose_no_row() -> None:
    course = Course()
    commits = 5 * MOST + 7
    for commit in range(1, commits + 1):
        course.add(Step(seconds=commit * 0.5, rows=commit * 3, failed=0, partitions=1, longest_s=float(commit == 700)))
        assert len(course.steps) < MOST
    last = course.steps[-1]
    assert (last.seconds, last.rows) == (commits * 0.5, commits * 3)
    assert sum(step.partitions for step in course.steps) == commits
    assert [step.longest_s for step in course.steps].count(1.0) == 1
    rows = [step.rows for step in course.steps]
    assert rows == sorted(set(rows))


def test_a_commit_adds_what_was_observed_of_it() -> None:
    totals = Totals()
    observed = {**dict.fromkeys(Stats.__dataclass_fields__), "rows": 5, "failed": 1}
    spread = {"partitions": 2, "p50_s": 0.25, "p99_s": 0.75, "longest_s": 0.75}
    totals.add(3, {**observed, **spread})
    totals.add(4, {**observed, "partitions": 0, "p50_s": None, "p99_s": None, "longest_s": None})
    assert (totals.commits, totals.sink_version, totals.stats.rows, totals.stats.failed) == (2, 4, 10, 2)
    first, second = totals.course.steps
    assert first == Step(seconds=first.seconds, rows=5, failed=1, **spread)
    assert (second.rows, second.partitions, second.longest_s) == (10, 0, 0.0)
    assert 0.0 <= first.seconds <= second.seconds
