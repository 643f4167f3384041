from __future__ import annotations

from engine.stats import Stats
from jobs.commits import Totals
from jobs.progress import Progress, line


def test_line_tells_rows_speed_failures_and_what_is_left() -> None:
    totals = Totals()
    totals.add(1, {"rows": 700, "tokens": 20_000, "failed": 2})
    totals.add(2, {"rows": 500, "tokens": 16_000, "failed": None})
    assert (totals.commits, totals.sink_version) == (2, 2)
    assert totals.stats == Stats(rows=1200, tokens=36_000, failed=2)
    assert line(totals, seconds=4.0, rows=4000) == (
        "1,200 of 4,000 rows · 300 rows/s · 9,000 tokens/s · 2 failed · 9 s left"
    )
    assert line(totals, seconds=4.0, rows=None) == "1,200 rows · 300 rows/s · 9,000 tokens/s · 2 failed"


def test_line_tells_how_fast_recordings_are_heard() -> None:
    totals = Totals()
    totals.add(1, {"rows": 4, "audio_s": 96.0})
    assert line(totals, seconds=4.0, rows=None) == ("4 rows · 1 rows/s · 0 tokens/s · 24 times real time · 0 failed")


def test_nothing_is_drawn_where_there_is_no_terminal(capsys: object) -> None:
    with Progress(10) as progress:
        progress.committed(Totals())
    assert capsys.readouterr() == ("", "")  # type: ignore[attr-defined]
