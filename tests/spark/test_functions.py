"""Functions that an operator named are there: in a session, under spark-submit, and for the command that asks SQL."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml
from typer.testing import CliRunner

from jobs import functions
from jobs.cli import app
from jobs.errors import DefinitionError
from jobs.jars import delta_jars
from tests.spark import plain

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = pytest.mark.spark

ROOT = Path(__file__).resolve().parents[2]
TEXT = "a good day"
QUERY = f"SELECT s.label FROM (SELECT feeling('{TEXT}') AS s)"
SCRIPT = f"""\
from jobs.session import session

print("says", session("report").sql("{QUERY}").first()["label"])
"""


def write(folder: Path, **named: object) -> Path:
    file = folder / "functions.yaml"
    file.write_text(yaml.safe_dump({"version": 1, "functions": named}), encoding="utf-8")
    return file


def label(folder: Path) -> str:
    scores = plain.scores(folder, TEXT)
    return max(scores, key=scores.__getitem__)


def test_a_file_of_functions_serves_sql(
    spark: SparkSession, sentiment: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MODEL_FOLDER", str(sentiment))
    file = write(
        tmp_path,
        feeling={"model": "${env:MODEL_FOLDER}", "compute": {"dtype": "float32"}},
        mood={"model": str(sentiment)},
    )
    assert functions.register(spark, file) == ("feeling", "mood")
    done = CliRunner().invoke(app, ["sql", QUERY])
    assert (done.exit_code, label(sentiment) in done.stdout) == (0, True)
    done = CliRunner().invoke(app, ["sql", "CREATE OR REPLACE TEMPORARY VIEW v AS SELECT mood('no') AS m"])
    assert (done.exit_code, done.stdout) == (0, "")
    done = CliRunner().invoke(app, ["sql", "SELEC 1"])
    assert done.exit_code == 4
    assert "expected a statement that Spark understands" in done.output


def test_the_usual_file_is_read_where_none_is_named(
    spark: SparkSession, sentiment: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert functions.register(spark) == ()
    Path("conf").mkdir()
    write(Path("conf"), usual={"model": str(sentiment)})
    assert functions.register(spark) == ("usual",)


def test_functions_that_cant_be_made_are_named_with_their_line(
    spark: SparkSession, sentiment: Path, tmp_path: Path
) -> None:
    with pytest.raises(
        DefinitionError, match=r"yaml:2: functions.upper: expected a name that Spark has no function of"
    ):
        functions.register(spark, write(tmp_path, upper={"model": str(sentiment)}))
    with pytest.raises(
        DefinitionError, match=r"functions.lost: expected a function that can be made, got ModelNotFound"
    ):
        functions.register(spark, write(tmp_path, lost={"model": str(tmp_path / "nowhere")}))


@pytest.mark.usefixtures("no_mlflow")
def test_a_program_under_spark_submit_has_those_of_the_named_file(sentiment: Path, tmp_path: Path) -> None:
    write(tmp_path, feeling={"model": str(sentiment), "compute": {"dtype": "float32"}})
    (tmp_path / "report.py").write_text(SCRIPT, encoding="utf-8")
    command = [str(Path(sys.executable).parent / "spark-submit"), "--master", "local[2,4]"]
    command += ["--jars", ",".join(map(str, delta_jars())), "--conf", f"{functions.CONF}=functions.yaml", "report.py"]
    env = {**os.environ, "PYSPARK_PYTHON": sys.executable, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    assert re.findall(r"^says (\w+)$", done.stdout, re.MULTILINE) == [label(sentiment)]
