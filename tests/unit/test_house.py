"""Files stay small, and say nothing of the machine they were written on."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
CODE: Final = ("engine", "udfs", "jobs")
#: Longer files are two nouns.
MOST_LINES: Final = 400
#: Absolute paths of a developer's machine. They would work there, and nowhere else.
_HOME: Final = re.compile(r"(?<![\w.])/(?:work|root|home/\w+|Users/\w+)/")


def committed() -> Iterator[tuple[Path, str]]:
    """Every text file of the house: hidden folders hold what is made, except .ci."""
    rooms = [path for path in ROOT.iterdir() if path.is_dir() and (path.name == ".ci" or path.name[0] not in ".")]
    files = [path for path in ROOT.iterdir() if path.is_file()]
    for path in sorted([*files, *(path for room in rooms for path in room.rglob("*"))]):
        if path.is_file() and path.suffix in {"", ".py", ".md", ".toml", ".yaml", ".yml", ".conf", ".tsv", ".txt"}:
            yield path, path.read_text(encoding="utf-8")


def test_files_are_small() -> None:
    long = {str(path.relative_to(ROOT)) for path, text in committed() if _lines(path, text) > MOST_LINES}
    assert long == set()


def _lines(path: Path, text: str) -> int:
    return text.count("\n") if path.relative_to(ROOT).parts[0] in CODE else 0


def test_no_path_of_a_machine_is_written_down() -> None:
    found = {
        f"{path.relative_to(ROOT)}:{number}"
        for path, text in committed()
        for number, line in enumerate(text.splitlines(), 1)
        if _HOME.search(line)
    }
    assert found == set()


def test_paths_of_a_machine_are_known() -> None:
    assert all(_HOME.search(path) for path in ("/" + "root/x", "see /" + "work/main", '"/' + 'home/ann/x"'))
    assert not any(_HOME.search(path) for path in ("artifacts/work/x", "http://localhost/x", "/mnt/shared/weights"))


def test_the_doors_are_listed() -> None:
    import subprocess

    done = subprocess.run(["make", "--silent"], cwd=ROOT, capture_output=True, text=True, check=True)
    doors = ["demo", "cluster", "schedule", "test", "lint", "bench", "docs", "airflow"]
    assert [line.split()[1] for line in done.stdout.splitlines()] == doors


def test_versions_agree() -> None:
    import tomllib

    import engine

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert engine.__version__ == project["version"]
    assert f"embercast:{project['version']}" in (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
    assert f"## {project['version']}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_the_oldest_spark_that_is_asked_for_is_the_one_that_is_tested() -> None:
    import tomllib

    from packaging.requirements import Requirement

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    asked = {one.name: one.specifier for one in map(Requirement, project["dependencies"])}
    made = (ROOT / "Makefile").read_text(encoding="utf-8")
    for name in ("pyspark", "delta-spark"):
        [lowest] = (one.version for one in asked[name] if one.operator == ">=")
        assert f"--with {name}=={lowest} " in made
