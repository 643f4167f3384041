"""The demonstration's three jobs in one session, each into a sink of its own: ``python demo_jobs.py SUFFIX``.

Started by spark-submit, or as it is with the master that EMBERCAST_MASTER names.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Final

#: Each is the name of a definition, and of its source below ``.demo/tables``. All of them take ten minutes.
JOBS: Final = ("reviews", "calls", "chats") if os.environ.get("EMBERCAST_WHOLE") else ("reviews",)
#: The registered model of each.
MODELS: Final = {"reviews": "sentiment", "calls": "whisper", "chats": "smollm2"}


def run(suffix: str) -> int:
    """The exit code of the first that failed, or 0. In float32 answers don't depend on what was scored together.

    Paths are whole ones: a JVM that was started in another folder goes on from there.
    """
    from jobs.cli import app

    for name in JOBS:
        table = Path(".demo/tables").resolve() / name
        values = [f"source.path={table}", f"sink.path={table}_{suffix}", "compute.dtype=float32"]
        values += ["params.max_tokens=16"] if name == "chats" else []  # enough to tell answers apart
        overrides = [part for value in values for part in ("--set", value)]
        if code := app(["run", f"conf/jobs/{name}.yaml", *overrides], standalone_mode=False):
            return int(code)
    return 0


if __name__ == "__main__":
    sys.exit(run(sys.argv[1]))
