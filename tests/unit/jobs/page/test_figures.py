from __future__ import annotations

from dataclasses import replace

import pytest

import engine
from jobs.page.charts import charts
from jobs.page.counts import Counts
from jobs.page.figures import Point, figures
from tests.unit.jobs.page.given import COUNTS, SUMMARY


def test_speed_is_that_since_the_commit_before() -> None:
    found = figures(SUMMARY, COUNTS).points
    assert found == (
        Point(seconds=4.0, rows=600, failed=10, rows_per_s=150.0, p50_s=2.0, p99_s=3.0, longest_s=3.5),
        Point(seconds=9.0, rows=2000, failed=10, rows_per_s=280.0, p50_s=2.0, p99_s=5.0, longest_s=5.0),
    )


def test_skew_is_of_the_worst_commit() -> None:
    found = figures(SUMMARY, COUNTS)
    assert (found.partitions, found.skew) == (16, 2.5)


def test_what_was_saved_and_what_it_took() -> None:
    found = figures(SUMMARY, COUNTS)
    assert (found.computed, found.duplicates, found.nulls) == (1800, 160, 40)
    assert (found.tokens, found.padding) == (30_000, 10_000)
    assert found.stages == {"load": 1.0, "encode": 2.0, "forward": 8.0, "decode": 0.5}


def test_errors_say_whether_a_retry_helps_the_most_frequent_first() -> None:
    assert figures(SUMMARY, COUNTS).errors == (("unreadable", 6, True), ("too_long", 4, False))


def test_planned_stands_beside_done_and_what_was_pinned_is_told() -> None:
    found = figures(SUMMARY, COUNTS)
    lines = {name: (planned, done) for name, planned, done in found.lines}
    assert lines["rows scored"] == ("1,990", "2,000")
    assert lines["rows/s"] == ("250", "200")
    pinned = dict(found.pinned)
    assert (pinned["model"], pinned["digest"], pinned["dtype"]) == ("models:/sentiment/3", "ab" * 32, "bfloat16")
    assert (pinned["source"], pinned["sink"]) == ("reviews, version 7", "reviews_scored, version 9")
    assert pinned["engine"] == engine.__version__


def test_distributions_are_those_of_the_answers() -> None:
    found = figures(SUMMARY, COUNTS)
    assert [one.title for one in found.distributions] == ["labels", "scores", "tokens of an input"]
    assert found.distributions[0].moved == pytest.approx(1500 / 1950 - 0.75)
    assert found.before == "0123456789abcdef-1"


def test_pictures_are_drawn_of_what_there_is() -> None:
    names = [chart.name for chart in charts(figures(SUMMARY, COUNTS))]
    assert names == ["rows", "speed", "partitions", "stages", "saved", *(f"distribution-{at}" for at in range(3))]
    nothing = replace(SUMMARY, rows=0, skipped=0, duplicates=0, tokens=0, padded_tokens=0, course=(), sink_version=None)
    assert [chart.name for chart in charts(figures(nothing, Counts()))] == ["stages"]


def test_shares_are_drawn_of_both_runs() -> None:
    (labels,) = (chart for chart in charts(figures(SUMMARY, COUNTS)) if chart.title == "Labels")
    now, before = labels.data
    assert (now["x"], before["x"]) == ([1500 / 1950, 450 / 1950], [0.75, 0.25])
    assert labels.layout["yaxis"]["ticktext"] == ["good", "bad"]
    assert labels.note == "1.9% of the answers are elsewhere than in the run before."
