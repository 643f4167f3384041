"""python -m benchmarks.planned: what ``embercast plan`` expects of a job, beside what its run took.

MiniLM over distinct texts, Delta to Delta, in a session as `embercast` starts it, neither warmed up before.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.command import Tell, carry_out
from benchmarks.machine import machine, versions
from benchmarks.text.models import save_minilm
from benchmarks.text.texts import texts


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.planned", description=__doc__)
    parser.add_argument("--texts", type=int, default=25_000, help="two minutes of them on two cores in float32")
    parser.add_argument("--length", type=int, default=27, help="their mean tokens")
    parser.add_argument("--save", type=Path, help="write the JSON there as well: benchmarks/results/<name>.json")
    asked = parser.parse_args(arguments)
    carry_out(lambda tell: measure(asked.texts, asked.length, tell), asked.save)


def measure(count: int, length: int, tell: Tell) -> dict[str, Any]:
    """Plans and runs a job of so many texts. Times in seconds."""
    from jobs.definition import made
    from jobs.plan import plan
    from jobs.runner import run
    from jobs.session import session

    report: dict[str, Any] = {"benchmark": "planned", "machine": machine(), "versions": versions()}
    with tempfile.TemporaryDirectory() as folder:
        model = save_minilm(Path(folder) / "model")
        spark = session("benchmark of plans")
        rows = spark.createDataFrame(list(enumerate(texts(count, length))), "id INT, body STRING")
        rows.write.format("delta").save(f"{folder}/source")
        definition = made(
            {
                "version": 1,
                "name": "planned",
                "model": str(model),
                "source": {"path": f"{folder}/source", "key": ["id"], "inputs": {"text": "body"}},
                "sink": {"path": f"{folder}/sink"},
            }
        )
        expected = plan(definition, spark=spark).planned
        tell(f"planned: {expected.rows:,} rows in {expected.seconds:,.0f} s")
        done = run(definition, spark=spark)
        tell(f"done: {done.rows:,} rows in {done.seconds:,.0f} s, {expected.seconds / done.seconds:.2f} planned of it")
        spark.stop()
    return {
        **report,
        "settings": {"texts": count, "length": length},
        "rows": {"planned": expected.rows, "done": done.rows},
        "seconds": {"planned": round(expected.seconds, 1), "done": round(done.seconds, 1)},
        "planned_to_done": round(expected.seconds / done.seconds, 3),
    }


if __name__ == "__main__":
    main()
