"""``spark-submit jobs/run.py --job FILE``: the command ``embercast run``, with its options."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path


def main() -> None:
    """Turns the options into those of ``embercast run`` and ends with its exit code."""
    parser = argparse.ArgumentParser(prog="jobs/run.py", description="Score the new rows of a job's source.")
    parser.add_argument("--job", required=True, metavar="FILE")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--var", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--accept-schema", action="store_true")
    parser.add_argument("--retry-failed", action="store_true")
    parser.add_argument("--summary", metavar="PATH")
    parser.add_argument("--page", metavar="PATH")
    asked = parser.parse_args()
    summary = ["--summary", asked.summary] if asked.summary else []
    page = ["--page", asked.page] if asked.page else []
    overrides = [part for assignment in asked.set for part in ("--set", assignment)]
    overrides += [part for assignment in asked.var for part in ("--var", assignment)]
    overrides += ["--accept-schema"] * asked.accept_schema + ["--retry-failed"] * asked.retry_failed

    from jobs.cli import app

    app(["run", asked.job, *overrides, *summary, *page])


if __name__ == "__main__":
    # Python puts this file's folder first on sys.path: `import jobs` must find the package, not its modules one by one
    here = Path(__file__).resolve().parent
    sys.path[:] = [str(here.parent), *(entry for entry in sys.path if Path(entry).resolve() != here)]
    main()
