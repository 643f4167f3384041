"""``.airflow/bin/python -m benchmarks.dags``, with Airflow's own Python: how long definitions take to become DAGs, in
processes of their own, Airflow's imports left out.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

from benchmarks.command import Tell, carry_out
from benchmarks.machine import machine

#: What a process does: Airflow's imports, then ours and the definitions.
_PARSE: Final = """
import json, sys, time
from airflow.providers.apache.spark.operators.spark_submit import SparkSubmitOperator
from airflow.sdk import DAG, Asset, Connection, CronTriggerTimetable
start = time.perf_counter()
from jobs.dags import dags_from
imported = time.perf_counter()
dags = dags_from(sys.argv[1])
print(json.dumps({"dags": len(dags), "import_s": imported - start, "parse_s": time.perf_counter() - imported}))
"""
_DEFINITION: Final = """\
version: 1
name: reviews_{number}
model: models:/sentiment@champion
task: text-classification
source:
  path: s3a://shop/reviews
  format: parquet
  key: [review_id]
  inputs: {{text: body}}
  where: ds = '${{var:ds}}'
params: {{top_k: 3}}
compute: {{dtype: auto, batch_tokens: auto}}
sink: {{path: "s3a://shop/scored/{number}", output: sentiment, keep: [product]}}
errors: {{max_fraction: 0.05}}
schedule:
  cron: {minute} 2 * * *
  variables: {{ds: "{{{{ ds }}}}"}}
  secrets: {{MAILS_TOKEN: mails.password}}
"""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.dags", description=__doc__)
    parser.add_argument("--definitions", type=int, default=200, help="how many")
    parser.add_argument("--runs", type=int, default=5, help="processes that read all of them")
    parser.add_argument("--save", type=Path, help="write the JSON there as well: benchmarks/results/<name>.json")
    asked = parser.parse_args()
    carry_out(lambda tell: _measured(asked.definitions, asked.runs, tell), asked.save)


def _measured(definitions: int, runs: int, tell: Tell) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as home:
        jobs = Path(home) / "jobs"
        jobs.mkdir()
        for number in range(definitions):
            text = _DEFINITION.format(number=number, minute=number % 60)
            (jobs / f"{number}.yaml").write_text(text, encoding="utf-8")
        on = machine()
        found = []
        for run in range(runs):
            found.append(_once(jobs, home))
            tell(f"run {run + 1} of {runs}: {found[-1]['import_s'] + found[-1]['parse_s']:.2f} s")
    seconds = sorted(one["import_s"] + one["parse_s"] for one in found)
    told: dict[str, Any] = {"definitions": definitions, "dags": found[0]["dags"], "runs": runs, "machine": on}
    for name in ("import_s", "parse_s"):
        told[name] = statistics.median(one[name] for one in found)
    return {**told, "seconds": statistics.median(seconds), "fastest": seconds[0], "slowest": seconds[-1]}


def _once(jobs: Path, home: str) -> dict[str, float]:
    command = [sys.executable, "-c", _PARSE, str(jobs)]
    done = subprocess.run(
        command, env={**os.environ, "AIRFLOW_HOME": home}, stdout=subprocess.PIPE, text=True, check=True
    )
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


if __name__ == "__main__":
    main()
