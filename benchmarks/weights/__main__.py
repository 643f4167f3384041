"""python -m benchmarks.weights: random weights from the driver to the first row, by broadcast and by a shared path.

Executors of this machine stand for those of several hosts: a host is what has a cache folder of its own. Then what a
worker holds and how soon it scores, where workers fork from a process that has torch in it, and where each imports it.
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
from typing import Any, Final

from benchmarks.command import Tell, carry_out
from benchmarks.machine import machine, versions
from benchmarks.weights import models

_ROOT: Final = Path(__file__).resolve().parents[2]
_COLUMNS: Final = ("bundled_s", "sent_s", "on_all_hosts_s", "unpacked_s", "first_row_s", "second_row_s")


def main(arguments: Sequence[str] | None = None) -> None:
    asked = parser().parse_args(arguments)
    carry_out(lambda tell: measure(asked, tell), asked.save)


def measure(asked: argparse.Namespace, tell: Tell) -> dict[str, Any]:
    names = ("broadcast", "shared", "hosts", "executors", "heap", "dtype", "workers")
    settings = {name: getattr(asked, name) for name in names}
    report: dict[str, Any] = {
        "benchmark": "weights",
        "machine": machine(),
        "versions": versions(),
        "settings": settings,
    }
    report["ways"] = []
    for shared, sizes in ((False, asked.broadcast), (True, asked.shared)):
        for gb in sizes:
            way = one_way(asked, gb, shared=shared)
            report["ways"].append({"gb": gb, "by": "shared path" if shared else "broadcast", **way})
            tell(f"{gb} GB by {report['ways'][-1]['by']}: first row after {sum_of(way):.1f} s")
    report["workers"] = forked(asked, tell) if asked.workers else []
    show(report)
    return report


def sum_of(way: dict[str, Any]) -> float:
    """Seconds from a bundle that was just made to the first row."""
    return float(way["sent_s"] + way["on_all_hosts_s"] + way["first_row_s"])


def one_way(asked: argparse.Namespace, gb: float, *, shared: bool) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="embercast-benchmark-", dir=asked.folder) as home:
        model = models.save(Path(home) / "model", gb)
        spec = {"model": str(model), "home": home, "shared": shared, "dtype": asked.dtype, "heap": asked.heap}
        return case("way", {**spec, "hosts": asked.hosts, "executors": asked.executors})


def forked(asked: argparse.Namespace, tell: Tell) -> list[dict[str, Any]]:
    found = []
    with tempfile.TemporaryDirectory(prefix="embercast-benchmark-", dir=asked.folder) as home:
        model = models.save(Path(home) / "model", 0.1)
        for daemon in ("pyspark.daemon", "udfs.daemon"):
            found.append(
                case("workers", {"model": str(model), "home": home, "daemon": daemon, "workers": asked.workers})
            )
            tell(f"workers of {daemon}: {found[-1]['worker_private_bytes'] >> 20} MiB each")
    return found


def case(module: str, spec: dict[str, Any]) -> dict[str, Any]:
    """What a process of its own found."""
    env = {**os.environ, "PYSPARK_PYTHON": sys.executable, "PYTHONPATH": str(_ROOT), "SPARK_LOCAL_IP": "127.0.0.1"}
    command = [sys.executable, "-m", f"benchmarks.weights.{module}", json.dumps(spec)]
    done = subprocess.run(command, cwd=_ROOT, env=env, stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def show(report: dict[str, Any]) -> None:
    """Prints the figures for people."""
    print(
        f"{'GB':>5} {'by':12}" + "".join(f"{name.removesuffix('_s'):>14}" for name in _COLUMNS) + "   driver MiB (JVM)"
    )
    for way in report["ways"]:
        seconds = "".join(f"{way[name]:>12.2f} s" for name in _COLUMNS)
        held = f"{way['driver_python_bytes'] >> 20:>10} ({way['driver_jvm_most_bytes'] >> 20})"
        print(f"{way['gb']:>5} {way['by']:12}{seconds}{held}")
    for one in report["workers"]:
        own, together = one["worker_private_bytes"] >> 20, one["all_pss_bytes"] >> 20
        print(f"{one['daemon']:15} first rows {one['first_rows_s']:.1f} s, a worker {own} MiB, all {together} MiB")


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog="python -m benchmarks.weights", description=__doc__)
    add = made.add_argument
    add("--broadcast", type=_sizes, default=(0.1, 1.0), help="gigabytes that are broadcast, as 0.1,1; none for none")
    add("--shared", type=_sizes, default=(0.1, 1.0, 5.0), help="gigabytes that go by a shared path")
    add("--hosts", type=int, default=2, help="each with a cache of its own")
    add("--executors", type=int, default=2, help="a host, of one core each")
    add("--heap", default="512m", help="of the driver's JVM: less than what is broadcast")
    add(
        "--dtype",
        default="float32",
        help="of the bundle; the models are float32, so that others are cast on the driver",
    )
    add("--workers", type=int, default=2, help="at once, whose memory is compared; 0 for none")
    add("--folder", type=Path, help="where models, caches and Spark's files lie, which take up to 25 GB for 5 GB")
    add("--save", type=Path, help="write the JSON there as well: benchmarks/results/<name>.json")
    return made


def _sizes(text: str) -> tuple[float, ...]:
    return () if text == "none" else tuple(float(one) for one in text.split(","))


if __name__ == "__main__":
    main()
