"""python -m benchmarks.partitions: the same job over a table in tiny partitions, in a single one, and well partitioned.

MiniLM over distinct texts, Delta to Delta, each a run of a job of its own in one warm session, in turns.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any, Final

from benchmarks.command import Tell, carry_out
from benchmarks.machine import machine, versions
from benchmarks.text.models import save_minilm
from benchmarks.text.texts import texts

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

#: Files of the well-partitioned table, whose time the others' are set beside.
WELL: Final = 8


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.partitions", description=__doc__)
    parser.add_argument("--texts", type=int, default=20_000)
    parser.add_argument("--partitions", type=int, default=10_000, help="folders of a few rows each")
    parser.add_argument("--length", type=int, default=27, help="mean tokens of a text")
    parser.add_argument("--passes", type=int, default=2)
    parser.add_argument("--save", type=Path, help="write the JSON there as well: benchmarks/results/<name>.json")
    asked = parser.parse_args(arguments)
    carry_out(lambda tell: measure(asked, tell), asked.save)


def measure(asked: argparse.Namespace, tell: Tell) -> dict[str, Any]:
    """Times in seconds, from the start of a run to its end."""
    from jobs.session import session

    report: dict[str, Any] = {"benchmark": "partitions", "machine": machine(), "versions": versions()}
    settings = {name: getattr(asked, name) for name in ("texts", "partitions", "length", "passes")}
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        model = save_minilm(folder / "model")
        spark = session("benchmark of partitions")
        rows = spark.createDataFrame(list(enumerate(texts(asked.texts, asked.length))), "id INT, body STRING")
        for name, table in lay(rows, asked.partitions).items():
            table.save(f"{folder}/{name}")
            tell(f"{name} table written")
        took: dict[str, list[float]] = {"well": [], "tiny": [], "huge": []}
        tell(f"warming up: {score(spark, model, folder, 'well', 'warm'):.1f} s")
        for number in range(asked.passes):
            for name, times in took.items():
                times.append(score(spark, model, folder, name, f"{name}{number}"))
                tell(f"{name}: {times[-1]:.1f} s")
        spark.stop()
    to_well = {name: round(median(times) / median(took["well"]), 3) for name, times in took.items()}
    return {**report, "settings": settings, "seconds": took, "to_well": to_well}


def lay(rows: DataFrame, partitions: int) -> dict[str, Any]:
    """Writers of the three tables."""
    parts = rows.selectExpr("*", f"id % {partitions} AS part").repartition(WELL, "part")
    return {
        "well": rows.repartition(WELL).write.format("delta"),
        "tiny": parts.sortWithinPartitions("part").write.format("delta").partitionBy("part"),
        "huge": rows.coalesce(1).write.format("delta"),
    }


def score(spark: SparkSession, model: Path, folder: Path, source: str, sink: str) -> float:
    """Seconds of one run into a sink of its own."""
    from jobs.definition import made
    from jobs.runner import run

    return run(
        made(
            {
                "version": 1,
                "name": sink,
                "model": str(model),
                "source": {"path": f"{folder}/{source}", "key": ["id"], "inputs": {"text": "body"}},
                "sink": {"path": f"{folder}/sinks/{sink}"},
            }
        ),
        spark=spark,
    ).seconds


if __name__ == "__main__":
    main()
