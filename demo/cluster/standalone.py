"""Spark's own master and workers, from the pyspark that pip installed: real processes, an executor for each worker."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from demo.cluster.ports import HOST, taken, wait_for
from demo.cluster.processes import Processes, Started
from demo.place import BRIEF_JVM

#: Small JVMs: they only start and watch those that score.
_DAEMON: Final = {"SPARK_DAEMON_MEMORY": "256m", "SPARK_DAEMON_JAVA_OPTS": f"-XX:+UseSerialGC {BRIEF_JVM}"}


@dataclass(frozen=True)
class Cluster:
    """A master and its workers, which run.

    Args:
        master: its URL, as ``spark-submit --master`` takes it.
        processes: what was started, logs and all.
        env: of the workers and so of the executors that they start.
        conf: Spark properties of the workers (``spark.worker.…``), as ``spark.worker.resource.gpu.amount``.
        memory: what a worker gives its executors.
        cores: of a worker, as it tells the master.
        first: the number of the first worker, whose folder is ``work-0`` for 0.
        workers: in the order they were started.
    """

    master: str
    processes: Processes
    env: Mapping[str, str]
    conf: Mapping[str, str]
    memory: str
    cores: int = 1
    first: int = 0
    workers: list[Started] = field(default_factory=list)

    def add_worker(self) -> Started:
        """One more worker. It is there before it is known to the master, which takes a moment."""
        number, home = self.first + len(self.workers), self.processes.home
        room = ("--cores", str(self.cores), "--memory", self.memory, "--work-dir", str(home / f"work-{number}"))
        properties = home / f"worker-{number}.conf"
        properties.write_text("".join(f"{key} {value}\n" for key, value in self.conf.items()), encoding="utf-8")
        arguments = ("--webui-port", "0", "--properties-file", str(properties), *room, self.master)
        self.workers.append(_start(self.processes, f"worker-{number}", "worker.Worker", arguments, self.env))
        return self.workers[-1]


@contextmanager
def cluster(
    home: Path,
    *,
    workers: int = 2,
    port: int = 0,
    ui_port: int = 0,
    env: Mapping[str, str] | None = None,
    conf: Mapping[str, str] | None = None,
    memory: str = "1g",
    cores: int = 1,
) -> Iterator[Cluster]:
    """A standalone master with workers, of one core each unless told, within the block, reached from this host alone.

    Args:
        home: a folder for logs and the workers' folders, made where it is missing; what an executor says lies in
            ``work-N/app-…/N/stderr``.
        workers: how many, so two executors where an application takes all cores.
        port: the master's; 0 takes any free one.
        ui_port: of the master's page; 0 takes any free one.
        env: goes over this process's environment for the workers and their executors, less PYTHONPATH and the like.
        conf: Spark properties of the workers.
        memory: what a worker gives its executors.
        cores: that a worker offers, whatever this machine has.

    Raises Unfit where a process ends or does not listen.
    """
    home.mkdir(parents=True, exist_ok=True)
    port, processes = taken(port, "Spark's master"), Processes(home)
    try:
        listening = ("--port", str(port), "--webui-port", str(ui_port))
        wait_for(port, _start(processes, "master", "master.Master", ("--host", HOST, *listening), env or {}))
        made = Cluster(f"spark://{HOST}:{port}", processes, env or {}, conf or {}, memory, cores)
        for _ in range(workers):
            made.add_worker()
        yield made
    finally:
        processes.stop()


def _start(processes: Processes, name: str, kind: str, arguments: tuple[str, ...], env: Mapping[str, str]) -> Started:
    import pyspark

    home = Path(pyspark.__file__).parent
    own = {"SPARK_HOME": str(home), "SPARK_LOCAL_IP": HOST, **_DAEMON}
    command = [str(home / "bin" / "spark-class"), f"org.apache.spark.deploy.{kind}", *arguments]
    return processes.start(name, command, env={**own, **env})
