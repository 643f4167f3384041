from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from jobs import report
from jobs.errors import RunError
from jobs.summary import Audio, Planned, Summary, Writing
from tests.summaries import SUMMARY


def test_shares_and_speeds_are_derived() -> None:
    told = SUMMARY.as_dict()
    assert (told["failed_fraction"], told["padding_share"]) == (0.005, 0.25)
    assert (told["rows_per_s"], told["tokens_per_s"]) == (200.0, 3000.0)
    assert told["planned"] == {"rows": 1990, "rows_per_s": 250.0, "seconds": 9.0, "audio": None, "writing": None}


def test_nothing_scored_divides_by_nothing() -> None:
    empty = Summary(**{**SUMMARY.__dict__, "rows": 0, "failed": 0, "tokens": 0, "padded_tokens": 0, "seconds": 0.0})
    assert (empty.failed_fraction, empty.padding_share, empty.rows_per_s, empty.tokens_per_s) == (0, 0, 0, 0)


def shown_of(summary: Summary) -> dict[str, list[str]]:
    console = Console(width=120, record=True, file=None)
    with console.capture() as capture:
        console.print(report.table(summary))
    lines = ([cell.strip() for cell in row.split("│")[1:-1]] for row in capture.get().splitlines())
    return {cells[0]: cells[1:] for cells in lines if cells}


def test_planned_stands_beside_done() -> None:
    shown = shown_of(SUMMARY)
    assert shown["rows scored"] == ["1,990", "2,000"]
    assert shown["rows/s"] == ["250", "200"]
    assert shown["seconds"] == ["9", "10.0"]
    assert shown["failed"] == ["", "10 (0.50%)"]
    assert shown["tokens"] == ["", "30,000 (3,000/s), padding 25.0%"]


def test_recordings_are_told_by_their_seconds() -> None:
    audio = Audio(seconds=540.0, speed=24.0, looked=37, told=36)
    assert SUMMARY.planned
    heard = replace(SUMMARY, audio_s=560.0, seconds=70.0, planned=replace(SUMMARY.planned, audio=audio))
    shown = shown_of(heard)
    assert shown["audio"] == ["about 9 min", "9 min"]
    assert shown["times real time"] == ["24", "8"]
    assert heard.as_dict()["times_real_time"] == 8.0
    assert "audio" not in shown_of(SUMMARY)
    assert "tokens" not in shown_of(replace(heard, tokens=0, padded_tokens=0))


def test_json_is_written_whole(tmp_path: Path) -> None:
    report.write(SUMMARY, tmp_path / "deep" / "summary.json")
    assert json.loads((tmp_path / "deep" / "summary.json").read_text()) == SUMMARY.as_dict()
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["summary.json"]


def test_summary_that_cannot_be_kept_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    (tmp_path / "file").touch()
    with pytest.raises(RunError, match="its rows are in the sink, but its summary could not be kept"):
        report.publish(SUMMARY, path=tmp_path / "file" / "summary.json")


class Page:
    """Stands in for one that reads the sink."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def html(self, summary: Summary) -> str:
        return f"<p>{summary.run_id}</p>"


def test_a_page_is_written_where_it_is_asked_for_and_told_where_it_cannot_be(tmp_path: Path) -> None:
    page: Any = Page(tmp_path / "deep" / "run.html")
    report.publish(SUMMARY, page=page)
    assert page.path.read_text() == "<p>0123456789abcdef-1</p>"
    (tmp_path / "file").touch()
    with pytest.raises(RunError, match="its rows are in the sink, but its page could not be made: FileExistsError"):
        report.publish(SUMMARY, page=Page(tmp_path / "file" / "run.html"))  # type: ignore[arg-type]


def test_what_was_written_stands_beside_what_was_planned() -> None:
    texts = Writing(prompt_tokens=5e4, output_tokens=2e4, per_s=450.0, rows=16, texts=16, cut=0, cap=32, most=256)
    planned = Planned(rows=1990, rows_per_s=250.0, seconds=9.0, writing=texts)
    shown = shown_of(replace(SUMMARY, written_tokens=25_000, planned=planned))
    assert shown["output tokens"] == ["about 20,000", "25,000"]
    assert shown["output tokens/s"] == ["450", "2,500"]
    assert "output tokens" not in shown_of(SUMMARY)
