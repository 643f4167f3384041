"""One cluster for all tests here, by the command that a person starts, and the demonstration's models on its MLflow."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import psutil
import pytest

from demo import calls, chats, prepare, reviews, tables
from demo.cluster import Cluster
from demo.cluster.processes import Processes, environment
from demo.place import BRIEF_JVM
from tests import homes
from tests.cluster import demo_jobs

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

ROOT: Final = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Running:
    """``python -m demo.cluster``, which runs.

    Args:
        home: its folder.
        command: its process.
        master: Spark's URL.
        registry: MLflow's.
        replaced: what tests add to it.
    """

    home: Path
    command: psutil.Popen
    master: str
    registry: str
    replaced: Cluster

    def add_worker(self) -> None:
        """One more worker, in place of one that a test killed."""
        self.replaced.add_worker()

    def processes(self) -> list[psutil.Process]:
        """All that it started, and what they did."""
        return self.command.children(recursive=True)


@pytest.fixture(scope="package", autouse=True)
def cache_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """$EMBERCAST_CACHE of these tests and of the processes they start."""
    home = tmp_path_factory.mktemp("cache")
    with homes.home(home) as patch:
        patch.setenv("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
        patch.setenv("SPARK_SUBMIT_OPTS", BRIEF_JVM)
        yield home


@pytest.fixture(scope="package")
def spark(cache_home: Path) -> SparkSession:
    """Left running: other tests of the process may share it."""
    from jobs.session import session

    return session("cluster")


@pytest.fixture(scope="package")
def running(cache_home: Path) -> Iterator[Running]:
    """The cluster. Its folder lies where another user may enter: PostgreSQL is not to run as root."""
    home = Path(tempfile.mkdtemp(prefix="embercast-"))
    home.chmod(0o755)
    more = Processes(home)
    process = _command(home)
    try:
        variables = _variables(home, process)
        master = variables["EMBERCAST_MASTER"]
        added = Cluster(master=master, processes=more, env={}, conf={}, memory="1g", first=2)
        made = Running(home, process, master, variables["MLFLOW_TRACKING_URI"], added)
        yield made
        there = made.processes()
        more.stop()
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
        assert psutil.wait_procs(there, timeout=10)[1] == []
    finally:
        more.stop()
        if process.poll() is None:
            process.terminate()
            process.wait(60)
        shutil.rmtree(home)


def _command(home: Path) -> psutil.Popen:
    ports = ("--port", "0", "--ui-port", "0", "--registry-port", "0")
    command = [sys.executable, "-m", "demo.cluster", "--home", str(home), *ports]
    with (home / "said").open("wb") as said:
        return psutil.Popen(command, cwd=ROOT, stdout=said, stderr=said)


def _variables(home: Path, process: psutil.Popen) -> dict[str, str]:
    until = time.monotonic() + 240
    while not (home / "env").exists():
        assert process.poll() is None, (home / "said").read_text()
        assert time.monotonic() < until
        time.sleep(0.2)
    lines = (home / "env").read_text(encoding="utf-8").splitlines()
    return dict(line.removeprefix("export ").split("=", 1) for line in lines)


@pytest.fixture(scope="package")
def shop(running: Running, spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A working folder with the jobs of ``conf/jobs`` and little for them to do, their models logged."""
    folder = tmp_path_factory.mktemp("shop")
    shutil.copytree(ROOT / "conf", folder / "conf")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", running.registry)
        patch.chdir(folder)
        for module in (tables, calls, chats):  # the JVM works in the folder where the tests began
            patch.setattr(module, "SOURCE", str(folder / module.SOURCE))
        prepare.log_models(reviews.read()[:48], [demo_jobs.MODELS[name] for name in demo_jobs.JOBS])
        spoken = [_shortened(call) for call in calls.read()[:3]]
        prepare.write_tables(spark, reviews.read()[-8:], spoken, chats.read()[:3])
        yield folder


def _shortened(call: calls.Call) -> calls.Call:
    return calls.Call(call.call_id, call.product, call.voice, call.text[: call.text.index(".") + 1])


def submit(running: Running, cwd: Path, log: Path, *options: str, env: dict[str, str]) -> subprocess.Popen[bytes]:
    """``spark-submit`` in client mode, with the settings of ``conf/spark/standalone.conf``."""
    from jobs.jars import delta_jars

    command = [str(Path(sys.executable).parent / "spark-submit"), "--master", running.master]
    command += ["--properties-file", str(ROOT / "conf" / "spark" / "standalone.conf")]
    command += ["--jars", ",".join(map(str, delta_jars())), *options]
    own = {"SPARK_LOCAL_IP": "127.0.0.1", "MLFLOW_TRACKING_URI": running.registry, **env}
    with log.open("wb") as said:
        return subprocess.Popen(
            command, cwd=cwd, env={**environment(), **own}, stdout=said, stderr=said, start_new_session=True
        )
