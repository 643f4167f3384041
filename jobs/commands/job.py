"""Commands that score rows, or say what that would be."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from jobs.commands.command import Command, File, Overrides, Summary, Variables, app, load, session, show

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyspark.sql import SparkSession

    from jobs.definition import JobDefinition
    from jobs.errors import LimitReachedError, TooManyFailedRowsError
    from jobs.page.render import Page
    from jobs.summary import Summary as Done
    from jobs.tracking.record import Record


@app.command(cls=Command)
def plan(
    file: File,
    check_keys: Annotated[
        bool, typer.Option("--check-keys", help="Look for null and duplicate keys in all rows.")
    ] = False,
    overrides: Overrides = None,
    variables: Variables = None,
) -> None:
    """Say what a run would do, on what and how fast; refuse what can't work."""
    definition = load(file, overrides, variables)
    from jobs.plan import plan as make_plan

    show(make_plan(definition, spark=session(definition), check_keys=check_keys))


@app.command(cls=Command)
def run(
    file: File,
    overrides: Overrides = None,
    variables: Variables = None,
    summary: Summary = None,
    page: Annotated[
        Path | None, typer.Option("--page", metavar="PATH", help="Write the run's page there.", show_default=False)
    ] = None,
    accept_schema: Annotated[
        bool, typer.Option("--accept-schema", help="Go on although the source's schema changed since the last run.")
    ] = False,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Score those rows again whose error a retry can help, and no others.")
    ] = False,
) -> None:
    """Score the rows of the source that are not yet in the sink."""
    definition = load(file, overrides, variables)
    if retry_failed:
        from jobs.retry import retry

        _run(definition, summary, retry, page)
        return
    _run(definition, summary, partial(_new_rows, accept_schema=accept_schema), page)


@app.command(cls=Command)
def promote(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="models:/name/4.", show_default=False)],
    file: Annotated[Path, typer.Option("--job", metavar="FILE", help="A definition that names an alias of it.")],
    rows: Annotated[int | None, typer.Option(min=1, help="How many rows to compare.", show_default=False)] = None,
    everything: Annotated[bool, typer.Option("--all", help="Compare all rows of the source.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    on_change: Annotated[
        str | None,
        typer.Option(help="new_rows or rescore, over the file's: what becomes of scored rows.", show_default=False),
    ] = None,
    overrides: Overrides = None,
    variables: Variables = None,
    summary: Summary = None,
    page: Annotated[
        Path | None, typer.Option("--page", metavar="PATH", help="Write what differs there.", show_default=False)
    ] = None,
) -> None:
    """Compare a version of a model with the one in use; on a yes, move the alias to it and run the job."""
    definition = load(file, [*(overrides or ()), *([f"on_change={on_change}"] if on_change else ())], variables)
    from engine.errors import ParameterError
    from jobs.alias import Alias
    from jobs.promote import accept, compare

    if rows is not None and everything:
        raise ParameterError("expected --rows or --all, got both: leave one out")
    alias = Alias.of(definition, model)
    found = compare(definition, alias, spark=session(definition), rows=rows, everything=everything)
    show(found)
    if page is not None:
        from jobs.page.render import compared

        page.write_text(compared(found), encoding="utf-8")
    if not (yes or typer.confirm(found.question)):
        typer.echo("nothing was changed")
        return
    _run(accept(definition, alias, found), summary, _new_rows)


@app.command(cls=Command)
def batch(
    path: Annotated[str, typer.Argument(metavar="INPUT", help="A batch file of OpenAI's, a folder or a pattern.")],
    model: Annotated[str, typer.Option(help="models:/name@alias, models:/name/3 or a folder.")],
    output: Annotated[str, typer.Option(help="The folder of output.jsonl and errors.jsonl.")],
    task: Annotated[str, typer.Option(help="llm/v1/chat, llm/v1/completions or llm/v1/embeddings.")] = "llm/v1/chat",
    overrides: Overrides = None,
    summary: Summary = None,
) -> None:
    """Answer the requests of a batch file that are not yet answered."""
    from jobs.batches.implied import definition_of
    from jobs.definition import made

    data = definition_of(path, model=model, output=output, task=task)
    _run(made(data, overrides=overrides or ()), summary, _new_rows)


@app.command(cls=Command)
def sample(
    file: File,
    rows: Annotated[int, typer.Option("-n", min=1, help="How many rows.")] = 20,
    overrides: Overrides = None,
    variables: Variables = None,
) -> None:
    """Score a few rows and show them; nothing is written."""
    definition = load(file, overrides, variables)
    from jobs.sample import sample as take_sample

    show(take_sample(definition, spark=session(definition), rows=rows))


def _new_rows(definition: JobDefinition, *, spark: SparkSession, accept_schema: bool = False) -> Done:
    from jobs.runner import run as score_new_rows

    return score_new_rows(definition, spark=spark, accept_schema=accept_schema)


def _run(definition: JobDefinition, summary: Path | None, score: Callable[..., Done], page: Path | None = None) -> None:
    """Scores by a function of definition and session, and tells what it did."""
    from jobs.errors import LimitReachedError, TooManyFailedRowsError
    from jobs.page.render import Page
    from jobs.report import publish
    from jobs.tracking.record import Record

    spark = session(definition)
    shown = Page(spark, definition, page)
    with Record(definition, spark) as record:
        try:
            done = score(definition, spark=spark)
        except (LimitReachedError, TooManyFailedRowsError) as error:
            if error.summary is not None:
                _publish_beside(error, path=summary, record=record, page=shown)
            raise
        publish(done, path=summary, record=record, page=shown)


def _publish_beside(
    error: LimitReachedError | TooManyFailedRowsError, *, path: Path | None, record: Record, page: Page
) -> None:
    """A summary that can't be kept is said, and does not take the place of why the run ended, nor its exit code."""
    from jobs.errors import RunError
    from jobs.references import mask
    from jobs.report import publish

    try:
        page.ended = str(error)
        publish(error.summary, path=path, record=record, page=page)
    except RunError as unkept:
        typer.echo(mask(str(unkept)), err=True)
