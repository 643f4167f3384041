"""Commands that look: at a job's past, at definitions, at tasks, at what SQL gives and at this machine."""

from __future__ import annotations

from typing import Annotated

import typer

from jobs.commands.command import Command, File, Overrides, Variables, app, load, session, show


@app.command(cls=Command)
def history(file: File, overrides: Overrides = None, variables: Variables = None) -> None:
    """List the runs of a job, the latest first."""
    definition = load(file, overrides, variables)
    from jobs import history as past

    show(past.history(session(definition, with_functions=False), definition))


@app.command(cls=Command)
def status(file: File, overrides: Overrides = None, variables: Variables = None) -> None:
    """Say which run of a job is under way, and how far it is."""
    definition = load(file, overrides, variables)
    from jobs import history as past

    typer.echo(past.status(session(definition, with_functions=False), definition))


@app.command(cls=Command)
def errors(file: File, overrides: Overrides = None, variables: Variables = None) -> None:
    """List the failed rows of a job by code, with the first keys of each."""
    definition = load(file, overrides, variables)
    from jobs import history as past

    show(past.failures(session(definition, with_functions=False), definition))


@app.command(cls=Command)
def validate(file: File, overrides: Overrides = None, variables: Variables = None) -> None:
    """Read a definition and name everything that is wrong in it; no Spark, no registry."""
    definition = load(file, overrides, variables)
    typer.echo(f"{file}: {definition.name} is a valid job (identity {definition.identity})")


@app.command(cls=Command)
def tasks(
    name: Annotated[str | None, typer.Argument(metavar="TASK", help="Only this one.", show_default=False)] = None,
) -> None:
    """List the tasks, each with its inputs, parameters and output."""
    from jobs.tasks import describe

    for text in describe(name):
        typer.echo(text)


@app.command(cls=Command)
def schema() -> None:
    """Print the JSON Schema of a job definition, for editors."""
    import json

    from jobs.definition import json_schema

    typer.echo(json.dumps(json_schema(), indent=2, ensure_ascii=False))


@app.command(cls=Command)
def sql(
    query: Annotated[str, typer.Argument(help="A statement of Spark SQL.", show_default=False)],
    rows: Annotated[int, typer.Option("-n", min=1, help="How many rows to show.")] = 20,
) -> None:
    """Show what a query gives; the functions of conf/functions.yaml are known to it."""
    from jobs.query import show as show_rows
    from jobs.session import session as start

    show_rows(start("embercast sql"), query, rows=rows)


@app.command(cls=Command)
def doctor() -> None:
    """Look at everything a run needs on this machine, and say what to do about what is missing."""
    from jobs.doctor import State, examine

    checks = examine()
    for check in checks:
        typer.secho(f"{check.state.value:4} ", fg=check.state.color, nl=False)
        typer.echo(f"{check.name}: {check.message}")
    if any(check.state is State.FAIL for check in checks):
        raise typer.Exit(4)
