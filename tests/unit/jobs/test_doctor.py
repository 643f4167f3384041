from __future__ import annotations

import http.server
import sqlite3
import sys
import threading
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import pytest
from typer.testing import CliRunner

from jobs import cli, doctor
from jobs.doctor import Check, State


def fake_java(folder: Path, answer: str) -> None:
    java = folder / "bin" / "java"
    java.parent.mkdir()
    java.write_text(f"#!/bin/sh\necho '{answer}' >&2\n")
    java.chmod(0o755)


@pytest.mark.parametrize(
    ("answer", "state", "text"),
    [
        ('openjdk version "17.0.9" 2023-10-17', State.OK, "17 at "),
        ('openjdk version "21" 2023-09-19', State.OK, "21 at "),
        ('java version "1.8.0_392"', State.FAIL, "expected Java 17 or later, got 8 at "),
        ("no version at all", State.FAIL, "expected Java 17 or later, got None at "),
    ],
)
def test_java(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: str, state: State, text: str) -> None:
    fake_java(tmp_path, answer)
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    found = doctor.java()
    assert found.state is state
    assert found.message.startswith(text)


def test_no_java(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert doctor.java().state is State.FAIL
    assert "install a JDK 17 or later" in doctor.java().message


def test_python_and_packages_of_this_environment() -> None:
    assert doctor.python().state is State.OK
    assert doctor.packages().state is State.OK
    assert "pyspark" in doctor.packages().message


def test_an_old_python(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 10, 0))
    assert doctor.python().message == ("expected 3.11 to 3.13, got 3.10: make the environment with one of those")


def test_a_wrong_and_a_missing_package(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = ["pyyaml>=99", "no-such-package>=1", 'rich>=13; extra == "x"']
    monkeypatch.setattr(metadata, "requires", lambda name: asked)
    found = doctor.packages()
    assert found.state is State.FAIL
    assert found.message.startswith("expected pyyaml>=99 (got 6.")
    assert "no-such-package>=1 (missing)" in found.message
    assert "rich" not in found.message


def test_another_package_of_our_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "udfs").mkdir()
    (tmp_path / "udfs" / "__init__.py").touch()
    (tmp_path / "engine.py").touch()
    home = str(Path(doctor.__file__).parent.parent)
    monkeypatch.setattr(sys, "path", [home])
    assert doctor.names().state is State.OK
    monkeypatch.setattr(sys, "path", [home, str(tmp_path)])
    assert doctor.names().state is State.WARN
    monkeypatch.setattr(sys, "path", [str(tmp_path), home])
    found = doctor.names()
    assert found.state is State.FAIL
    assert f"found before embercast's own: {tmp_path}/engine.py, {tmp_path}/udfs/__init__.py" in found.message


def test_jars_and_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMBERCAST_CACHE", str(tmp_path))
    assert doctor.jars().state is State.WARN
    folder = tmp_path / "jars" / f"delta-{metadata.version('delta-spark')}-spark-{metadata.version('pyspark')}"
    folder.mkdir(parents=True)
    (folder / "delta-spark.jar").touch()
    assert doctor.jars() == Check("delta jars", State.OK, f"1 in {folder}")
    monkeypatch.setattr(doctor, "_ROOM", 1 << 62)
    assert doctor.disk().state is State.WARN
    assert "EMBERCAST_CACHE" in doctor.disk().message


def test_a_cache_that_others_may_write_into_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    monkeypatch.setenv("EMBERCAST_CACHE", str(tmp_path / "open"))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    found = {check.name: check for check in doctor.examine()}
    assert found["disk"].state is State.FAIL
    assert "others may write into it: chmod 700 it, or point EMBERCAST_CACHE" in found["disk"].message


def test_a_cache_that_can_not_be_made_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("EMBERCAST_CACHE", str(tmp_path / "file" / "cache"))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    found = {check.name: check for check in doctor.examine()}
    assert found["disk"].state is State.FAIL
    assert "EMBERCAST_CACHE" in found["disk"].message
    assert CliRunner().invoke(cli.app, ["doctor"]).exit_code == 4


def test_devices() -> None:
    found = doctor.devices()
    assert found.state is State.OK
    assert "auto means " in found.message


class Login(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_error(401)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[int]:
    with http.server.HTTPServer(("127.0.0.1", 0), Login) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield running.server_port
        running.shutdown()
        thread.join()


def test_a_registry_server(server: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_REGISTRY_URI", raising=False)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{server}/")
    assert doctor.registry() == Check("registry", State.OK, f"http://127.0.0.1:{server} answers")


def test_a_registry_that_does_not_answer_keeps_its_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_REGISTRY_URI", raising=False)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://me:hunter2@127.0.0.1:1")
    found = doctor.registry()
    assert found.state is State.FAIL
    assert "http://127.0.0.1:1 does not answer" in found.message
    assert "hunter2" not in found.message


def test_a_registry_in_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_REGISTRY_URI", raising=False)
    path = tmp_path / "mlflow.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{path}")
    assert doctor.registry().state is State.WARN
    database = sqlite3.connect(path)
    assert doctor.registry().state is State.FAIL
    database.execute("CREATE TABLE registered_models (name TEXT)")
    database.execute("INSERT INTO registered_models VALUES ('sentiment')")
    database.commit()
    database.close()
    assert doctor.registry() == Check("registry", State.OK, f"1 registered models in {path}")
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    assert doctor.registry().state is State.WARN
