from __future__ import annotations

import re
from dataclasses import replace

from jobs.page.counts import Counted, Counts
from jobs.page.figures import figures
from jobs.page.render import render
from tests.pages import held, written
from tests.unit.jobs.page.given import COUNTS, LABELS, SUMMARY


def test_the_page_holds_its_figures() -> None:
    shown = figures(SUMMARY, COUNTS)
    page = render(shown)
    found = held(page, "figures")
    assert (found["job"], found["skew"], found["errors"][0]) == ("reviews", 2.5, ["unreadable", 6, True])
    assert [chart["name"] for chart in held(page, "charts")][:3] == ["rows", "speed", "partitions"]
    assert '<td class="number">1,990</td><td>2,000</td>' in page


def test_the_page_asks_nobody_for_anything() -> None:
    page = written(render(figures(SUMMARY, COUNTS)))
    assert "://" not in page
    assert not re.search(r"<(?:link|img|iframe)|\bsrc=|@import|url\(", page)


def test_the_page_fits_a_phone() -> None:
    page = written(render(figures(SUMMARY, COUNTS)))
    assert '<meta name="viewport" content="width=device-width, initial-scale=1">' in page
    assert not re.search(r"(?<![-\w])width: *\d+(?:px|rem)|(?<!\()min-width: *[1-9]", page)


def test_why_a_run_ended_early_stands_on_top() -> None:
    page = render(figures(SUMMARY, COUNTS, ended="2,000 rows were scored, limits.max_rows allows 1,500"))
    assert '<p class="ended">2,000 rows were scored, limits.max_rows allows 1,500</p>' in page
    assert '<p class="ended">' not in render(figures(SUMMARY, COUNTS))


def test_words_are_escaped() -> None:
    evil = "</script><script>alert(1)</script>"
    counts = Counts((Counted(LABELS, {evil: 3}),))
    page = render(figures(replace(SUMMARY, job="<b>", source=evil), counts))
    assert "alert(1)</script>" not in page
    assert "<h1>&lt;b&gt;</h1>" in page
    assert held(page, "figures")["distributions"][0]["bars"] == [evil]
