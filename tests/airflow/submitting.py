"""The ``spark-submit`` that Airflow finds in these tests: notes what it was given, then does it.

A job named ``ends_with_N`` ends so at once; the first try of ``reviews_sentiment`` gets a driver that fails.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

SUMMARY = {"run_id": "r", "rows": 10, "failed": 4, "sink": "scored", "failed_where": "x", "sink_version": 1}


def main() -> None:
    given = sys.argv[1:]
    name = given[given.index("--name") + 1]
    with Path(os.environ["SUBMITTED"]).open("a", encoding="utf-8") as log:
        log.write(json.dumps(given) + "\n")
    if name.startswith("ends_with_"):
        code = int(name.removeprefix("ends_with_"))
        if code in (0, 3):
            Path(given[given.index("--summary") + 1]).write_text(json.dumps(SUMMARY), encoding="utf-8")
        sys.exit(code)
    submitted = [json.loads(line) for line in Path(os.environ["SUBMITTED"]).read_text().splitlines()]
    if name == "reviews_sentiment" and sum(name in one for one in submitted) == 1:
        dying = str(Path(__file__).with_name("dying.py"))
        given = [dying if part.endswith("jobs/run.py") else part for part in given]
    real = str(Path(sys.executable).with_name("spark-submit"))
    os.execv(real, [real, *given])


if __name__ == "__main__":
    main()
