from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from engine.errors import (
    DamagedBundleError,
    DeviceError,
    EmbercastError,
    ModelNotFoundError,
    ParameterError,
    SchemaError,
    UnsafeModelError,
)
from engine.schema import SCHEMAS
from jobs import cli, session
from jobs.commands import job, looking
from jobs.errors import (
    DefinitionError,
    LeaseHeldError,
    RunError,
    SourceChangedError,
    TooManyFailedRowsError,
    exit_code,
)
from jobs.references import reveal

ROOT = Path(__file__).parents[3]
REVIEWS = str(ROOT / "conf" / "jobs" / "reviews.yaml")
HEAVY = {"torch", "transformers", "mlflow", "pyspark", "pandas", "pyarrow", "numpy", "pydantic"}


def embercast(*args: str) -> Result:
    return CliRunner().invoke(cli.app, args)


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys; from jobs.cli import app\n"
        "try: app(['--help'])\n"
        "finally: print(sorted({name.partition('.')[0] for name in sys.modules}), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    commands = "plan run promote batch sample validate tasks schema log adopt sql doctor"
    for command in commands.split():
        assert f" {command} " in done.stdout
    assert not HEAVY & set(eval(done.stderr))


def test_validate() -> None:
    done = embercast("validate", REVIEWS, "--set", "compute.dtype=float32")
    assert done.exit_code == 0
    assert "reviews_sentiment is a valid job" in done.stdout


def test_a_wrong_definition_is_exit_code_2_without_a_traceback() -> None:
    done = embercast("validate", REVIEWS, "--set", "compute.dtype=fp16", "--set", "nam=x")
    assert done.exit_code == 2
    assert done.stdout == ""
    assert done.stderr.splitlines() == [
        '--set: compute.dtype: expected auto, float32, bfloat16 or float16, got "fp16"; write dtype: auto',
        "--set: nam: expected one of version, name, model, task, source, params, compute, sink, on_change, "
        'allow_foreign_code, errors, limits, tracking, trigger, schedule, got "nam"; write name',
    ]


def test_tasks_shows_every_field_of_every_task_and_a_job_of_it(tmp_path: Path) -> None:
    done = embercast("tasks")
    assert done.exit_code == 0
    for name, schema in SCHEMAS.items():
        one, _, job = embercast("tasks", name).stdout.partition("  for example\n")
        assert one in done.stdout
        (tmp_path / "job.yaml").write_text(textwrap.dedent(job))
        assert embercast("validate", str(tmp_path / "job.yaml")).exit_code == 0
        assert ("roots: [/my/recordings]" in job) == (schema.inputs[0].name == "audio")
        for field in schema.output.fields:
            assert f"    {field.name}: " in one
    assert "    top_k: int or null = null" in done.stdout
    assert "    text_pair: STRING (optional)" in done.stdout
    assert embercast("tasks", "no-such-task").exit_code == 2


def test_schema_is_json() -> None:
    schema = json.loads(embercast("schema").stdout)
    assert schema["properties"]["version"]["const"] == 1


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (DefinitionError([]), 2),
        (ModelNotFoundError(""), 2),
        (UnsafeModelError(""), 2),
        (ParameterError(""), 2),
        (SchemaError(""), 2),
        (DeviceError(""), 2),
        (TooManyFailedRowsError(""), 3),
        (RunError(""), 4),
        (SourceChangedError(""), 4),
        (LeaseHeldError(""), 4),
        (DamagedBundleError(""), 4),
        (EmbercastError(""), 4),
        (RuntimeError(""), 4),
    ],
)
def test_exit_codes(error: Exception, code: int, monkeypatch: pytest.MonkeyPatch) -> None:
    assert exit_code(error) == code

    def fail(*_: Any) -> None:
        raise error

    monkeypatch.setattr(looking, "load", fail)
    assert embercast("validate", REVIEWS).exit_code == code


def test_an_unexpected_error_shows_its_traceback_without_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKEN", "hunter2")
    reveal("${env:TOKEN}")

    def fail(*_: Any) -> None:
        raise RuntimeError("refused: s3://hunter2@bucket")

    monkeypatch.setattr(job, "load", fail)
    done = embercast("run", REVIEWS)
    assert done.exit_code == 4
    assert "RuntimeError: refused: s3://${env:TOKEN}@bucket" in done.stderr
    assert "hunter2" not in done.output


@pytest.mark.usefixtures("registry")
def test_a_model_is_logged_and_adopted(tmp_path: Path) -> None:
    from engine.models.registry import resolve
    from tests import tiny

    folder = tiny.save(tmp_path / "model")
    done = embercast("log", str(folder), "--name", "sentiment", "--param", "top_k=1", "--alias", "next")
    assert (done.exit_code, done.stdout) == (0, "models:/sentiment/1 is models:/sentiment@next now\n"), done.output
    done = embercast("adopt", "models:/sentiment@next", "--alias", "champion")
    assert done.stdout == "models:/sentiment@next is models:/sentiment/2 now, and so is its alias champion\n"
    found = resolve("models:/sentiment@champion")
    assert (found.version, found.params["top_k"]) == ("2", 1)
    assert embercast("adopt", str(folder)).exit_code == 2
    assert embercast("log", str(folder), "--name", "sentiment", "--param", "top_k").exit_code == 2


def test_a_wrong_option_is_exit_code_2() -> None:
    assert embercast("run", REVIEWS, "--no-such-option").exit_code == 2
    assert embercast("sample", "-n", "0", REVIEWS).exit_code == 2


@pytest.mark.parametrize("folder", [ROOT, ROOT / "jobs", Path("/")])
def test_run_py_is_the_command_run(folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "job.yaml"
    file.write_text("version: 2\n", encoding="utf-8")
    script = [sys.executable, str(ROOT / "jobs" / "run.py"), "--job", str(file), "--set", "name=Ab", "--summary", "x"]
    done = subprocess.run(script, capture_output=True, text=True, check=False, cwd=folder)
    assert done.returncode == 2
    assert f"{file}:1: version: expected 1, got 2; write version: 1\n" in done.stderr
    assert "--set: name: expected a name" in done.stderr


def test_a_summary_that_cant_be_kept_does_not_hide_why_the_run_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.unit.jobs.tracking.test_record import SUMMARY

    def fail(*_: Any, **__: Any) -> None:
        raise TooManyFailedRowsError("10 of 2,000 rows failed", SUMMARY)

    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setattr(job, "session", lambda definition: None)
    monkeypatch.setattr(job, "_new_rows", fail)
    (tmp_path / "file").write_text("no folder")
    done = embercast("run", REVIEWS, "--summary", f"{tmp_path}/file/summary.json")
    assert done.exit_code == 3
    assert "its summary could not be kept" in done.stderr
    assert done.stderr.endswith("10 of 2,000 rows failed\n")


@pytest.mark.parametrize(("command", "needs"), [("history", False), ("errors", False), ("plan", True), ("run", True)])
def test_commands_that_look_back_prepare_no_functions(
    monkeypatch: pytest.MonkeyPatch, command: str, needs: bool
) -> None:
    """A model that is gone from the registry would keep an operator from seeing what its job did."""
    asked: list[bool] = []

    def refuse(name: str, *, with_functions: bool) -> None:
        asked.append(with_functions)
        raise RunError("no session here")

    monkeypatch.setattr(session, "session", refuse)
    assert embercast(command, REVIEWS).exit_code == 4
    assert asked == [needs]
