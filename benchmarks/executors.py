"""python -m benchmarks.executors: one executor against two of a standalone cluster, a core and a thread each.

The same job of MiniLM over distinct texts, Delta to Delta, by a driver of its own each time; what a run says it took.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.command import Tell, carry_out
from benchmarks.machine import machine, versions
from benchmarks.text.models import save_minilm
from benchmarks.text.texts import texts

ROOT = Path(__file__).resolve().parents[1]


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.executors", description=__doc__)
    parser.add_argument("--texts", type=int, default=16_000, help="more than a minute of them for two executors")
    parser.add_argument("--length", type=int, default=27, help="their mean tokens")
    parser.add_argument("--passes", type=int, default=1)
    parser.add_argument("--save", type=Path, help="write the JSON there as well: benchmarks/results/<name>.json")
    asked = parser.parse_args(arguments)
    carry_out(lambda tell: measure(asked, tell), asked.save)


def measure(asked: argparse.Namespace, tell: Tell) -> dict[str, Any]:
    """Seconds of whole runs by one and by two executors, in turns."""
    report: dict[str, Any] = {"benchmark": "executors", "machine": machine(), "versions": versions()}
    took: dict[int, list[float]] = {1: [], 2: []}
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        lay(folder, asked.texts, asked.length)
        tell("model and table written")
        for number in range(asked.passes):
            for executors, times in took.items():
                times.append(score(folder, executors, f"{executors}_{number}"))
                tell(f"{executors} at once: {times[-1]:.1f} s")
    one, two = (median(times) for times in took.values())
    settings = {name: getattr(asked, name) for name in ("texts", "length", "passes")}
    return {**report, "settings": settings, "seconds": took, "one_to_two": round(one / two, 3)}


def lay(folder: Path, count: int, length: int) -> None:
    """The model, and the table in parts that two executors share evenly."""
    from jobs.session import session

    save_minilm(folder / "model")
    spark = session("benchmark of executors")
    rows = spark.createDataFrame(list(enumerate(texts(count, length))), "id INT, body STRING")
    rows.repartition(16).write.format("delta").save(f"{folder}/source")
    spark.stop()


def score(folder: Path, executors: int, name: str) -> float:
    """Seconds of a run by so many executors; each has its own host's cache, which is empty."""
    from demo.cluster import cluster
    from jobs.jars import delta_jars

    definition = {
        "version": 1,
        "name": f"executors_{name}",
        "model": str(folder / "model"),
        "source": {"path": f"{folder}/source", "key": ["id"], "inputs": {"text": "body"}},
        "sink": {"path": f"{folder}/sinks/{name}"},
    }
    (folder / "job.yaml").write_text(json.dumps(definition), encoding="utf-8")
    environment = {"PYTHONPATH": str(ROOT), "EMBERCAST_CACHE": f"{folder}/cache", "PYSPARK_PYTHON": sys.executable}
    with cluster(folder / f"cluster-{name}", workers=executors, env=environment) as made:
        submit = [str(Path(sys.executable).with_name("spark-submit")), "--master", made.master]
        submit += ["--jars", ",".join(map(str, delta_jars())), "--conf", "spark.executor.memory=1g"]
        submit += [str(ROOT / "jobs" / "run.py"), "--job", "job.yaml", "--summary", "summary.json"]
        subprocess.run(submit, cwd=folder, env={**os.environ, **environment}, check=True, stdout=subprocess.DEVNULL)
    return float(json.loads((folder / "summary.json").read_text(encoding="utf-8"))["seconds"])


if __name__ == "__main__":
    main()
