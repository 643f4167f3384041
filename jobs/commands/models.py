"""Commands that bring models into the registry."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from jobs.commands.command import Command, app


@app.command(cls=Command)
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


@app.command(cls=Command)
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
