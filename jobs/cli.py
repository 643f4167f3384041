"""``embercast``: one function a command. Nothing heavy is imported before a command needs it."""

from __future__ import annotations

import logging
import os
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyspark.sql import SparkSession

    from jobs.definition import JobDefinition
    from jobs.errors import LimitReachedError, TooManyFailedRowsError
    from jobs.page.render import Page
    from jobs.summary import Summary as Done
    from jobs.tracking.record import Record


class _Command(TyperCommand):
    """Ends every command in the same way: an error becomes a message on stderr and its exit code."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except (typer.Exit, typer.Abort):
            raise
        except Exception as error:
            from engine.errors import EmbercastError
            from jobs.errors import exit_code
            from jobs.references import mask

            if isinstance(error, EmbercastError):
                message = str(error)
            else:
                import traceback

                message = traceback.format_exc()
            typer.echo(mask(message), err=True)
            raise typer.Exit(exit_code(error)) from None


app = typer.Typer(
    name="embercast",
    help="Batch inference on Spark: a model from the registry scores a table, typed and exactly once.\n\n"
    "Exit codes: 0 done, 2 the definition is wrong, 3 too many rows failed, 4 the run failed, 5 a limit was reached.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

File = Annotated[Path, typer.Argument(metavar="FILE", help="A job definition in YAML.", show_default=False)]
Overrides = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="KEY=VALUE", help="A value over the file's: compute.dtype=float32.", show_default=False
    ),
]

Variables = Annotated[
    list[str] | None,
    typer.Option("--var", metavar="NAME=VALUE", help="A value for ${var:NAME} of the file.", show_default=False),
]

Summary = Annotated[
    Path | None,
    typer.Option("--summary", metavar="PATH", help="Write the summary there as JSON.", show_default=False),
]


@app.callback()
def _prepare() -> None:
    os.environ.setdefault("HF_HUB_OFFLINE", "1")  # models come from the registry; read when transformers is imported
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    logging.getLogger("embercast").setLevel(logging.INFO)


@app.command(cls=_Command)
def plan(
    file: File,
    check_keys: Annotated[
        bool, typer.Option("--check-keys", help="Look for null and duplicate keys in all rows.")
    ] = False,
    overrides: Overrides = None,
    variables: Variables = None,
) -> None:
    """Say what a run would do, on what and how fast; refuse what can't work."""
    definition = _load(file, overrides, variables)
    from jobs.plan import plan as make_plan

    _print(make_plan(definition, spark=_session(definition), check_keys=check_keys))


@app.command(cls=_Command)
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
    definition = _load(file, overrides, variables)
    if retry_failed:
        from jobs.retry import retry

        _run(definition, summary, retry, page)
        return
    _run(definition, summary, partial(_new_rows, accept_schema=accept_schema), page)


@app.command(cls=_Command)
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
    definition = _load(file, [*(overrides or ()), *([f"on_change={on_change}"] if on_change else ())], variables)
    from engine.errors import ParameterError
    from jobs.alias import Alias
    from jobs.promote import accept, compare

    if rows is not None and everything:
        raise ParameterError("expected --rows or --all, got both: leave one out")
    alias = Alias.of(definition, model)
    found = compare(definition, alias, spark=_session(definition), rows=rows, everything=everything)
    _print(found)
    if page is not None:
        from jobs.page.render import compared

        page.write_text(compared(found), encoding="utf-8")
    if not (yes or typer.confirm(found.question)):
        typer.echo("nothing was changed")
        return
    _run(accept(definition, alias, found), summary, _new_rows)


@app.command(cls=_Command)
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


def _new_rows(definition: JobDefinition, *, spark: SparkSession, accept_schema: bool = False) -> Done:
    from jobs.runner import run as score_new_rows

    return score_new_rows(definition, spark=spark, accept_schema=accept_schema)


def _run(definition: JobDefinition, summary: Path | None, score: Callable[..., Done], page: Path | None = None) -> None:
    """Scores by a function of definition and session, and tells what it did."""
    from jobs.errors import LimitReachedError, TooManyFailedRowsError
    from jobs.page.render import Page
    from jobs.report import publish
    from jobs.tracking.record import Record

    spark = _session(definition)
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


@app.command(cls=_Command)
def sample(
    file: File,
    rows: Annotated[int, typer.Option("-n", min=1, help="How many rows.")] = 20,
    overrides: Overrides = None,
    variables: Variables = None,
) -> None:
    """Score a few rows and show them; nothing is written."""
    definition = _load(file, overrides, variables)
    from jobs.sample import sample as take_sample

    _print(take_sample(definition, spark=_session(definition), rows=rows))


@app.command(cls=_Command)
def history(file: File, overrides: Overrides = None, variables: Variables = None) -> None:
    """List the runs of a job, the latest first."""
    definition = _load(file, overrides, variables)
    from jobs import history as past

    _print(past.history(_session(definition, with_functions=False), definition))


@app.command(cls=_Command)
def status(file: File, overrides: Overrides = None, variables: Variables = None) -> None:
    """Say which run of a job is under way, and how far it is."""
    definition = _load(file, overrides, variables)
    from jobs import history as past

    typer.echo(past.status(_session(definition, with_functions=False), definition))


@app.command(cls=_Command)
def errors(file: File, overrides: Overrides = None, variables: Variables = None) -> None:
    """List the failed rows of a job by code, with the first keys of each."""
    definition = _load(file, overrides, variables)
    from jobs import history as past

    _print(past.failures(_session(definition, with_functions=False), definition))


@app.command(cls=_Command)
def validate(file: File, overrides: Overrides = None, variables: Variables = None) -> None:
    """Read a definition and name everything that is wrong in it; no Spark, no registry."""
    definition = _load(file, overrides, variables)
    typer.echo(f"{file}: {definition.name} is a valid job (identity {definition.identity})")


@app.command(cls=_Command)
def tasks(
    name: Annotated[str | None, typer.Argument(metavar="TASK", help="Only this one.", show_default=False)] = None,
) -> None:
    """List the tasks, each with its inputs, parameters and output."""
    from jobs.tasks import describe

    for text in describe(name):
        typer.echo(text)


@app.command(cls=_Command)
def schema() -> None:
    """Print the JSON Schema of a job definition, for editors."""
    import json

    from jobs.definition import json_schema

    typer.echo(json.dumps(json_schema(), indent=2, ensure_ascii=False))


@app.command(cls=_Command)
def log(
    model: Annotated[str, typer.Argument(help="What save_pretrained wrote, or a hub's name.", show_default=False)],
    name: Annotated[str, typer.Option(help="The registered model's name.", show_default=False)],
    task: Annotated[str | None, typer.Option(help="Where the model does not say it.", show_default=False)] = None,
    alias: Annotated[str, typer.Option(help="Points at the new version.")] = "champion",
    param: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help="A parameter that is logged with the model.", show_default=False),
    ] = None,
    prompt_template: Annotated[
        str | None, typer.Option(help="Text around the prompt, with one {prompt}.", show_default=False)
    ] = None,
    revision: Annotated[
        str | None, typer.Option(help="Commit, tag or branch of a hub's model.", show_default=False)
    ] = None,
    reference: Annotated[
        bool, typer.Option("--reference", help="Leave the weights on the hub, and log their commit.")
    ] = False,
    base: Annotated[
        Path | None, typer.Option(help="Where the base of an adapter lies, and stays.", show_default=False)
    ] = None,
) -> None:
    """Log a model in MLflow, so that jobs, SQL and mlflow.pyfunc.spark_udf answer alike."""
    from jobs.log import log_named, params_of

    pinned = log_named(
        model,
        name=name,
        task=task,
        alias=alias,
        model_config=params_of(param or ()),
        prompt_template=prompt_template,
        revision=revision,
        save_pretrained=not reference,
        base_model_path=base,
    )
    typer.echo(f"{pinned} is models:/{name}@{alias} now")


@app.command(cls=_Command)
def adopt(
    uri: Annotated[str, typer.Argument(metavar="MODEL", help="models:/name/3 or models:/name@alias.")],
    name: Annotated[str | None, typer.Option(help="Of another registered model.", show_default=False)] = None,
    task: Annotated[str | None, typer.Option(help="Other than the logged one.", show_default=False)] = None,
    alias: Annotated[str | None, typer.Option(help="Moved to the new version.", show_default=False)] = None,
) -> None:
    """Log a model of stock MLflow again, as a new version that every door answers through this engine."""
    from udfs.pyfunc import adopt as make_version

    pinned = make_version(uri, name=name, task=task, alias=alias)
    typer.echo(f"{uri} is {pinned} now" + (f", and so is its alias {alias}" if alias else ""))


@app.command(cls=_Command)
def sql(
    query: Annotated[str, typer.Argument(help="A statement of Spark SQL.", show_default=False)],
    rows: Annotated[int, typer.Option("-n", min=1, help="How many rows to show.")] = 20,
) -> None:
    """Show what a query gives; the functions of conf/functions.yaml are known to it."""
    from jobs.query import show
    from jobs.session import session

    show(session("embercast sql"), query, rows=rows)


@app.command(cls=_Command)
def doctor() -> None:
    """Look at everything a run needs on this machine, and say what to do about what is missing."""
    from jobs.doctor import State, examine

    checks = examine()
    for check in checks:
        typer.secho(f"{check.state.value:4} ", fg=check.state.color, nl=False)
        typer.echo(f"{check.name}: {check.message}")
    if any(check.state is State.FAIL for check in checks):
        raise typer.Exit(4)


def _load(file: Path, overrides: list[str] | None, variables: list[str] | None) -> JobDefinition:
    from jobs.definition import load

    return load(file, overrides=overrides or (), variables=variables or ())


def _session(definition: JobDefinition, *, with_functions: bool = True) -> Any:
    from jobs.session import session
    from jobs.storage import check_reachable

    spark = session(f"embercast {definition.name}", with_functions=with_functions)
    check_reachable(spark, definition.source.path, definition.sink.path)
    return spark


def _print(renderable: Any) -> None:
    from rich.console import Console

    Console().print(renderable)


def main() -> None:
    """What the command ``embercast`` runs."""
    app()


if __name__ == "__main__":
    main()
