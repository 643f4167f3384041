"""A lease on a job: a second run is refused before it computes. Runs on the driver.

It saves work, not rows: were two runs to get through at once, Delta's transaction ids would still let one commit only.
"""

from __future__ import annotations

import json
import logging
import os
import platform
import threading
import time
from types import TracebackType
from typing import Any, Final, Self

from jobs.errors import LeaseHeldError
from jobs.storage import Folder

log = logging.getLogger("embercast")

FILE: Final = "lease.json"
#: A lease not renewed for so long belongs to a dead driver.
EXPIRES_S: Final = 120.0
_RENEW_S: Final = 20.0


class Lease:
    """Held while the block runs, renewed by a thread.

    Args:
        folder: the job's own.
        run_id: of the run that wants it.

    Raises LeaseHeldError on entering where another run holds it. A driver that died on this host is noticed at once,
    one that died elsewhere ``EXPIRES_S`` seconds after it was last seen.

    Attributes:
        rows: that the run is to score, for those who ask how far it is; told with the next renewal.
    """

    def __init__(self, folder: Folder, run_id: str) -> None:
        self.folder = folder
        self.run_id = run_id
        self.rows: int | None = None
        self._told = {"run": run_id, "host": platform.node(), "pid": os.getpid(), "began": time.time()}
        self._stop = threading.Event()
        self._lost: str | None = None
        self._thread = threading.Thread(target=self._renew, name="embercast-lease", daemon=True)

    def __enter__(self) -> Self:
        if not self.folder.create(FILE, self._text()):
            self._take_over()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()
        if self._lost is None:
            self.folder.delete(FILE)

    def check(self) -> None:
        """Raises LeaseHeldError where another run took the lease over meanwhile (this one was not seen for long)."""
        if self._lost is not None:
            raise LeaseHeldError(
                f"run {self.run_id} lost its lease: {self._lost}. The other run goes on; start no third"
            )

    def _take_over(self) -> None:
        holder = check_free(self.folder)
        if holder is not None:
            log.warning("run %s on %s died: its lease is taken over", holder["run"], holder["host"])
        # Renaming is what only one of several can do.
        aside = f"{FILE}.{self.run_id}"
        taken = self.folder.rename(FILE, aside)
        self.folder.delete(aside)
        if not taken or not self.folder.create(FILE, self._text()):
            raise LeaseHeldError("another run of this job took the lease a moment ago: wait for it")

    def _renew(self) -> None:
        missed = False
        while not self._stop.wait(_RENEW_S):
            try:
                holder = holder_of(self.folder)
                if holder is None and not missed:
                    missed = True  # not every filesystem replaces a file at once: it is looked for again
                    continue
                if holder is None or holder["run"] != self.run_id:
                    self._lost = f"{holder['run']} has it" if holder else "its file is gone"
                    return
                missed = False
                self.folder.write(FILE, self._text())
            except Exception as error:  # the storage may be back at the next beat; if not, the lease expires
                log.warning("the lease could not be renewed: %s", type(error).__name__)

    def _text(self) -> str:
        return json.dumps({**self._told, "rows": self.rows, "seen": time.time()})


def check_free(folder: Folder) -> dict[str, Any] | None:
    """Raises LeaseHeldError where a run of the job is under way; takes nothing. Returns a dead run's lease."""
    holder = holder_of(folder)
    if holder is not None and alive(holder):
        ago = time.time() - holder["seen"]
        raise LeaseHeldError(
            f"run {holder['run']} of this job is under way on {holder['host']} (process {holder['pid']}, seen "
            f"{ago:.0f} s ago): wait for it. Were its driver dead, its lease would end {EXPIRES_S:.0f} s after that"
        )
    return holder


def holder_of(folder: Folder) -> dict[str, Any] | None:
    """What the run that holds a job's lease says of itself; None where none does."""
    if not folder.exists(FILE):
        return None
    try:
        holder: dict[str, Any] = json.loads(folder.read(FILE))
    except ValueError:  # its driver died while it wrote
        return None
    return holder


def alive(holder: dict[str, Any]) -> bool:
    """Whether the driver that holds a lease lives: on this host its process does, elsewhere it was seen lately."""
    if holder["host"] == platform.node():
        try:
            os.kill(holder["pid"], 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            return True
    return bool(time.time() - holder["seen"] < EXPIRES_S)
