"""What a scheduler reads of definitions: places told apart, who follows whom, everything wrong at once."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from jobs.errors import DefinitionError
from jobs.schedules import due, read, read_all

ROOT = Path(__file__).resolve().parents[3]


def write(folder: Path, name: str, source: str, sink: str, rest: str = "") -> Path:
    path = folder / f"{name}.yaml"
    text = f"version: 1\nname: {name}\nmodel: m\nsource: {{{source}, key: [id], inputs: text}}\nsink: {{{sink}}}\n"
    path.write_text(text + rest, encoding="utf-8")
    return path


def problems(folder: Path) -> list[str]:
    with pytest.raises(DefinitionError) as caught:
        due(read_all(folder))
    return [str(problem).removeprefix(f"{folder}/") for problem in caught.value.problems]


def test_what_a_scheduler_sees(tmp_path: Path) -> None:
    rest = "schedule: {cron: 0 2 * * *, variables: {ds: '{{ ds }}'}}\nparams: {x: ['${var:ds}', {y: '${var:hour}'}]}\n"
    found = read(write(tmp_path, "a", "path: '${env:LAKE}/in/'", "table: '`Shop`.Scored'", rest))
    assert (found.file, found.name) == (tmp_path / "a.yaml", "a")
    assert (found.source, found.sink) == ("path:${env:LAKE}/in", "table:shop.scored")  # unset, and not looked for
    assert found.variables == {"ds", "hour"}
    assert found.schedule is not None
    assert (found.schedule.cron, found.schedule.retries, found.schedule.over_budget) == ("0 2 * * *", 2, "fail")


def test_jobs_follow_those_that_write_what_they_read(tmp_path: Path) -> None:
    write(tmp_path, "d_third", "path: /t/second", "path: /t/third")
    write(tmp_path, "c_second", "path: file:///t/first", "path: /t/./second/", "schedule: {retries: 0}\n")
    write(tmp_path, "b_first", "path: /t/source", "path: /t/first", "schedule: {cron: '@daily'}\n")
    write(tmp_path, "a_alone", "path: /t/elsewhere", "path: /t/alone")
    assert [job.name for job in due(read_all(tmp_path))] == ["b_first", "c_second", "d_third"]


def test_jobs_in_a_circle_do_not_run(tmp_path: Path) -> None:
    write(tmp_path, "a", "path: /t/1", "path: /t/2")
    write(tmp_path, "b", "path: /t/2", "path: /t/1")
    assert due(read_all(tmp_path)) == ()


def test_everything_wrong_is_told_at_once(tmp_path: Path) -> None:
    write(tmp_path, "a", "path: /t/1", "path: /t/2", "schedule: {cron: nightly}\n")
    write(tmp_path, "b", "path: /t/1", "path: /t/2", "schedule: {retry: 1}\n")
    write(tmp_path, "c", "path: /t/1, table: t", "path: /t/2")
    (tmp_path / "d.yml").write_text("a: b: c\n")
    write(tmp_path, "e", "path: /t/1", "path: /t/2").write_text(write(tmp_path, "f", "path: a", "path: b").read_text())
    found = problems(tmp_path)
    assert [problem.partition(": expected")[0] for problem in found] == [
        "a.yaml:6: schedule.cron",
        "b.yaml:6: schedule.retry",
        "c.yaml:4: source.path",
        "d.yml:1",
        "f.yaml: name",
    ]
    assert found[1].endswith('got "retry"; write retries')


def test_a_schedule_that_never_comes_is_told(tmp_path: Path) -> None:
    write(tmp_path, "a", "path: /t/1", "path: /t/2", "schedule: {retries: 1}\n")
    assert problems(tmp_path) == [
        "a.yaml: schedule: expected cron, or a source that is the sink of a job with a schedule, got neither; "
        "write cron: 0 2 * * *, or remove schedule"
    ]


@pytest.mark.parametrize(("made", "got"), [(True, "no YAML file"), (False, "no folder")])
def test_a_folder_without_definitions_is_told(tmp_path: Path, made: bool, got: str) -> None:
    folder = tmp_path / "jobs"
    if made:
        folder.mkdir()
    with pytest.raises(DefinitionError, match=f"expected job definitions, got {got}"):
        read_all(folder)


def test_reading_imports_nothing_heavy() -> None:
    code = """
import json, sys
from pathlib import Path
from jobs.schedules import read_all
read_all(Path("conf/jobs"))
print(json.dumps(sorted({module.partition(".")[0] for module in sys.modules})))
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    heavy = {"pyspark", "py4j", "torch", "transformers", "mlflow", "pandas", "pyarrow", "numpy", "typer", "rich"}
    assert set(json.loads(done.stdout)) & heavy == set()
