"""Which module workers fork from, without a JVM."""

from __future__ import annotations

import logging
import sys
import venv
from pathlib import Path

import pytest

from jobs.workers import daemon


@pytest.fixture(autouse=True)
def python(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYSPARK_PYTHON", sys.executable)
    monkeypatch.delenv("EMBERCAST_DAEMON", raising=False)


@pytest.mark.parametrize("master", ["local[*,4]", "local", "local-cluster[2,1,1500]"])
def test_executors_on_this_host_have_what_the_driver_has(
    master: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).resolve().parents[3]))
    assert daemon(master) == "udfs.daemon"
    assert caplog.records == []


def test_a_python_without_embercast_is_told_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    venv.create(tmp_path / "bare", symlinks=True)
    monkeypatch.setenv("PYSPARK_PYTHON", str(tmp_path / "bare" / "bin" / "python"))
    monkeypatch.delenv("PYTHONPATH", raising=False)
    monkeypatch.chdir(tmp_path)
    assert daemon("local[2]") is None
    [record] = caplog.records
    assert record.levelno == logging.WARNING
    assert record.getMessage().startswith("each worker imports torch for itself: expected udfs.daemon, torch, ")
    assert record.getMessage().endswith("ModuleNotFoundError: No module named 'udfs': install embercast there")


def test_executors_elsewhere_are_not_guessed_at(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    assert daemon("spark://master:7077") is None
    assert "the executors of spark://master:7077" in caplog.text
    assert "set EMBERCAST_DAEMON=udfs.daemon" in caplog.text
    monkeypatch.setenv("EMBERCAST_DAEMON", "udfs.daemon")
    assert daemon("spark://master:7077") == "udfs.daemon"


def test_another_module_may_be_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMBERCAST_DAEMON", "pyspark.daemon")
    assert daemon("local[2]") == "pyspark.daemon"
