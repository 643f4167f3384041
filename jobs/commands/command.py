"""What every command has: how it ends, the options that many take, a definition, a session."""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand

if TYPE_CHECKING:
    from jobs.definition import JobDefinition


class Command(TyperCommand):
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


def load(file: Path, overrides: list[str] | None, variables: list[str] | None) -> JobDefinition:
    """The definition that a command names, with what its options change."""
    from jobs.definition import load as read

    return read(file, overrides=overrides or (), variables=variables or ())


def session(definition: JobDefinition, *, with_functions: bool = True) -> Any:
    """The session that a job's command works in, which reaches the job's source and sink."""
    from jobs.session import session as start
    from jobs.storage import check_reachable

    spark = start(f"embercast {definition.name}", with_functions=with_functions)
    check_reachable(spark, definition.source.path, definition.sink.path)
    return spark


def show(renderable: Any) -> None:
    """Puts a table of rich's on the screen."""
    from rich.console import Console

    Console().print(renderable)
