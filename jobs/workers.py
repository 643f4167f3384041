"""What the Python workers of a session that is started here fork from. Runs on the driver, before there is a JVM."""

from __future__ import annotations

import logging
import os
import subprocess
import tempfile
from typing import Final

log = logging.getLogger("embercast")

_DAEMON: Final = "udfs.daemon"
#: Modules that must be there, in the order in which they are looked for.
_NEEDED: Final = (_DAEMON, "torch", "transformers")
_LOOK: Final = "import sys; from importlib.util import find_spec; [find_spec(n) or sys.exit(n) for n in sys.argv[1:]]"


def daemon(master: str) -> str | None:
    """The module for ``spark.python.daemon.module``; None keeps Spark's own, and the log says why.

    Where the module is missing every Python task dies at once. So the workers' Python is asked for it as Spark will
    start it, which can be done where executors run on this host.

    Args:
        master: of the session. $EMBERCAST_DAEMON names another module.
    """
    asked = os.environ.get("EMBERCAST_DAEMON")
    if asked:
        return asked
    if not master.startswith("local"):
        log.warning(
            "each worker imports torch for itself: whether the executors of %s have %s can't be seen from here; where "
            "they do, set EMBERCAST_DAEMON=%s",
            master,
            _DAEMON,
            _DAEMON,
        )
        return None
    why = _missing(elsewhere=master.startswith("local-cluster"))
    if why is None:
        return _DAEMON
    log.warning("each worker imports torch for itself: %s", why)
    return None


def _missing(*, elsewhere: bool) -> str | None:
    """Why the workers' Python can't be started with the module; executors of their own run in folders of their own."""
    python = os.environ["PYSPARK_PYTHON"]
    folder = tempfile.gettempdir() if elsewhere else None
    done = subprocess.run([python, "-c", _LOOK, *_NEEDED], cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return None
    last = (done.stderr.strip().splitlines() or ["nothing"])[-1]
    return f"expected {', '.join(_NEEDED)} in {python}, it says {last}: install embercast there"
