"""The engine as one file: what Python imports from it, where it lies, when it is made anew."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from jobs.archive import archive


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMBERCAST_CACHE", str(tmp_path / "cache"))


def test_python_imports_from_it(tmp_path: Path) -> None:
    program = "import sys; sys.path.insert(0, sys.argv[1]); import engine, udfs, jobs.cli; print(engine.__file__)"
    done = subprocess.run(
        [sys.executable, "-I", "-c", program, str(archive())], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == f"{archive()}/engine/__init__.py"


def test_it_is_made_once() -> None:
    first = archive()
    made = first.stat().st_mtime_ns
    assert archive() == first
    assert first.stat().st_mtime_ns == made
    assert [path.name for path in first.parent.iterdir() if path.suffix == ".zip"] == [first.name]


def test_it_holds_the_packages_and_no_bytecode() -> None:
    names = zipfile.ZipFile(archive()).namelist()
    assert {name.partition("/")[0] for name in names} == {"engine", "udfs", "jobs"}
    assert not [name for name in names if "__pycache__" in name]


def test_spark_takes_it_and_no_wheel() -> None:
    """What the docstring says of wheels; where Spark learns to take them, the docs may say so."""
    from pyspark import SparkContext

    assert archive().suffix in SparkContext.PACKAGE_EXTENSIONS
    assert ".whl" not in SparkContext.PACKAGE_EXTENSIONS
