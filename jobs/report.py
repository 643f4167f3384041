"""A run's summary for people and files. Runs on the driver."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from jobs.errors import RunError
from jobs.summary import duration, rate
from jobs.tracking.record import words

if TYPE_CHECKING:
    from rich.table import Table

    from jobs.page.render import Page
    from jobs.summary import Summary
    from jobs.tracking.record import Record


def publish(
    summary: Summary, *, path: Path | None = None, record: Record | None = None, page: Page | None = None
) -> None:
    """Shows the summary, tells it to MLflow (``record``) with its ``page``, and writes it to ``path`` as JSON.

    Raises RunError where it, or a page that has a path, can't be written: the rows are in the sink all the same.
    """
    from rich.console import Console

    Console().print(table(summary))
    if record is not None:
        record.done(summary, page)
    done = f"run {summary.run_id} is done and its rows are in the sink, but its"
    try:
        if path is not None:
            write(summary, path)
    except OSError as error:
        raise RunError(f"{done} summary could not be kept: {error}") from error
    try:
        if page is not None and page.path is not None:
            _write(page.html(summary), page.path)
    except Exception as error:  # whatever it is, the job is done
        raise RunError(f"{done} page could not be made: {words(error)}") from error


def write(summary: Summary, path: Path) -> None:
    """Writes JSON; a reader sees all of it or none."""
    _write(json.dumps(summary.as_dict(), indent=2) + "\n", path)


def _write(text: str, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}-{os.getpid()}")
    unfinished.write_text(text, encoding="utf-8")
    unfinished.replace(path)


def table(summary: Summary) -> Table:
    """The summary on a screen."""
    from rich.table import Table

    shown = Table("", "planned", "done", title=f"{summary.job}: run {summary.run_id}", title_justify="left")
    for column in shown.columns[1:]:
        column.justify = "right"
    for line in lines(summary):
        shown.add_row(*line)
    return shown


def lines(summary: Summary) -> Iterator[tuple[str, str, str]]:
    """What was planned beside what was done: name, planned, done."""
    planned = summary.planned
    yield "rows scored", f"{planned.rows:,}" if planned else "", f"{summary.rows:,}"
    yield "rows/s", rate(planned.rows_per_s) if planned else "", rate(summary.rows_per_s)
    yield "seconds", f"{planned.seconds:,.0f}" if planned else "", f"{summary.seconds:,.1f}"
    if summary.price is not None and summary.planned_price is not None:
        yield "price", f"{summary.planned_price:,.2f}", f"{summary.price:,.2f}"
    yield from _writing(summary)
    yield from _audio(summary)
    for name, value in _rest(summary):
        yield name, "", value


def _writing(summary: Summary) -> Iterator[tuple[str, str, str]]:
    """Tokens that were written, and how many in a second; nothing for tasks that write no text."""
    planned = summary.planned.writing if summary.planned else None
    if planned or summary.written_tokens:
        tokens = planned.output_tokens if planned else None
        yield "output tokens", "" if tokens is None else f"about {tokens:,.0f}", f"{summary.written_tokens:,}"
        yield "output tokens/s", rate(planned.per_s) if planned else "", rate(summary.written_per_s)


def _audio(summary: Summary) -> Iterator[tuple[str, str, str]]:
    """Seconds of audio, and how many were heard in a second; nothing for tasks without."""
    planned = summary.planned.audio if summary.planned else None
    if planned or summary.audio_s:
        seconds = planned.seconds if planned else None
        yield "audio", "" if seconds is None else f"about {duration(seconds)}", duration(summary.audio_s)
        yield "times real time", rate(planned.speed) if planned else "", rate(summary.times_real_time)


def _rest(summary: Summary) -> list[tuple[str, str]]:
    spent = " · ".join(
        f"{name} {getattr(summary, f'{name}_s'):.1f}" for name in ("load", "encode", "forward", "decode")
    )
    versions = f"{_version(summary.source_version)} → {_version(summary.sink_version)}"
    tokens = f"{summary.tokens:,} ({summary.tokens_per_s:,.0f}/s), padding {summary.padding_share:.1%}"
    return [
        ("failed", f"{summary.failed:,} ({summary.failed_fraction:.2%})"),
        ("null inputs", f"{summary.skipped:,}"),
        ("duplicates saved", f"{summary.duplicates:,}"),
        *([("tokens", tokens)] if summary.tokens or not summary.audio_s else []),  # windows of audio are no tokens
        ("seconds of workers", spent),
        ("model", f"{summary.model}, {summary.dtype} on {summary.device}, bundle {summary.digest[:12]}"),
        ("source → sink version", f"{versions}, commits {summary.commits}"),
    ]


def _version(version: int | None) -> str:
    return "–" if version is None else str(version)
