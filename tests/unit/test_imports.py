"""Imports run one way, and nothing heavy is imported before it is needed."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).resolve().parents[2]
#: room → the rooms it may import.
MAY_IMPORT: Final = {"engine": {"engine"}, "udfs": {"engine", "udfs"}, "jobs": {"engine", "udfs", "jobs"}}
HEAVY: Final = {"torch", "transformers", "mlflow", "pyspark", "pandas", "delta", "soundfile", "soxr", "av", "jinja2"}
FILES: Final = {room: sorted((ROOT / room).rglob("*.py")) for room in MAY_IMPORT}
COMMANDS = [ROOT / "jobs" / "cli.py", *sorted((ROOT / "jobs" / "commands").glob("*.py"))]


def imports(file: Path, *, at_start: bool = False) -> set[str]:
    """The modules a file imports; ``at_start`` leaves out those in functions and under ``if TYPE_CHECKING``."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    nodes = _run_at_start(tree.body) if at_start else ast.walk(tree)
    found: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}:{node.lineno}: imports are absolute here"
            found |= {f"{node.module}.{name.name}" for name in node.names}
    return found


def _run_at_start(body: list[ast.AST]) -> Iterator[ast.AST]:
    for node in body:
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            yield from _run_at_start(node.orelse)
        elif isinstance(node, ast.If | ast.Try | ast.ExceptHandler | ast.With | ast.ClassDef):
            for part in ("body", "handlers", "orelse", "finalbody"):
                yield from _run_at_start(getattr(node, part, []))
        else:
            yield node


def tops(modules: set[str]) -> set[str]:
    """The packages of these modules."""
    return {module.partition(".")[0] for module in modules}


@pytest.mark.parametrize("room", MAY_IMPORT)
def test_rooms_import_one_way(room: str) -> None:
    assert FILES[room]
    wrong = {
        f"{file.relative_to(ROOT)} imports {other}"
        for file in FILES[room]
        for other in tops(imports(file)) & ({*MAY_IMPORT, "demo", "benchmarks", "tests"} - MAY_IMPORT[room])
    }
    assert wrong == set()


def test_engine_knows_no_spark_and_one_file_knows_mlflow() -> None:
    for file in FILES["engine"]:
        found = tops(imports(file))
        assert not found & {"pyspark", "delta", "py4j"}, file
        assert "mlflow" not in found or file == ROOT / "engine" / "models" / "registry.py", file


@pytest.mark.parametrize("file", [*COMMANDS, *FILES["engine"]], ids=lambda f: str(f.relative_to(ROOT)))
def test_heavy_imports_wait(file: Path) -> None:
    assert tops(imports(file, at_start=True)) & HEAVY == set()


@pytest.mark.parametrize(
    ("package", "unwanted"),
    [
        ("engine", ["pyspark", "py4j", "mlflow", "torch", "transformers"]),
        ("udfs", ["pyspark", "py4j", "mlflow", "torch", "transformers", "pandas"]),
        ("jobs.cli", ["pyspark", "py4j", "mlflow", "torch", "transformers", "pandas", "pyarrow", "numpy", "pydantic"]),
    ],
)
def test_a_fresh_interpreter_stays_light(package: str, unwanted: list[str]) -> None:
    code = f"""
import importlib, json, pkgutil, sys
found = importlib.import_module({package!r})
if {package!r} == "engine":  # its every module
    for module in pkgutil.walk_packages(found.__path__, "engine."):
        importlib.import_module(module.name)
print(json.dumps(sorted(set({unwanted!r}) & set(sys.modules))))
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == []


def test_the_reader_of_imports_sees_what_it_should(tmp_path: Path) -> None:
    file = tmp_path / "sample.py"
    file.write_text(
        "import os\nfrom typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import torch\n"
        "try:\n    import pandas\nexcept ImportError:\n    import mlflow\n"
        "def f():\n    from pyspark.sql import functions\n",
        encoding="utf-8",
    )
    assert tops(imports(file)) == {"os", "typing", "torch", "pandas", "mlflow", "pyspark"}
    assert tops(imports(file, at_start=True)) == {"os", "typing", "pandas", "mlflow"}
