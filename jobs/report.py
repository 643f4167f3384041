"""A run's summary for people and files. Runs on the driver."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from jobs.errors import RunError
from jobs.summary import duration, rate

if TYPE_CHECKING:
    from rich.table import Table

    from jobs.summary import Summary
    from jobs.tracking.record import Record


def publish(summary: Summary, *, path: Path | None = None, record: Record | None = None) -> None:
    """Shows the summary, tells it to MLflow (``record``) and writes it to ``path`` as JSON.

    Raises RunError where it can't be written: the rows are in the sink all the same.
    """
    from rich.console import Console

    Console().print(table(summary))
    if record is not None:
        record.done(summary)
    try:
        if path is not None:
            write(summary, path)
    except OSError as error:
        raise RunError(
            f"run {summary.run_id} is done and its rows are in the sink, but its summary could not be kept: {error}"
        ) from error


def write(summary: Summary, path: Path) -> None:
    """Writes JSON; a reader sees all of it or none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}-{os.getpid()}")
    unfinished.write_text(json.dumps(summary.as_dict(), indent=2) + "\n", encoding="utf-8")
    unfinished.replace(path)


def table(summary: Summary) -> Table:
    """The summary on a screen, what was planned beside what was done."""
    from rich.table import Table

    shown = Table("", "planned", "done", title=f"{summary.job}: run {summary.run_id}", title_justify="left")
    for column in shown.columns[1:]:
        column.justify = "right"
    planned = summary.planned
    shown.add_row("rows scored", f"{planned.rows:,}" if planned else "", f"{summary.rows:,}")
    shown.add_row("rows/s", rate(planned.rows_per_s) if planned else "", rate(summary.rows_per_s))
    shown.add_row("seconds", f"{planned.seconds:,.0f}" if planned else "", f"{summary.seconds:,.1f}")
    if summary.price is not None and summary.planned_price is not None:
        shown.add_row("price", f"{summary.planned_price:,.2f}", f"{summary.price:,.2f}")
    for row in (*_writing(summary), *_audio(summary)):
        shown.add_row(*row)
    for name, value in _rest(summary):
        shown.add_row(name, "", value)
    return shown


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
