"""``jobs/run.py`` with a driver that fails once it has written a commit, before it notes that it has."""

from __future__ import annotations

import sys
from pathlib import Path


def _fails(*_: object) -> None:
    raise OSError("the driver's disk is full")


if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parents[2])
    from jobs import progress, run

    progress.Progress.committed = _fails  # type: ignore[method-assign]
    run.main()
