"""Processes that are started one after the other, each with a log of its own, and stopped the other way round."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from demo.place import Unfit

GRACE: Final = 15.0  # seconds to end by itself
#: Of who starts a cluster: its processes are to find nothing of that by accident.
_OWN: Final = ("PYTHONPATH", "EMBERCAST_CACHE", "LOG4J_CONFIGURATION_FILE", "PYSPARK_GATEWAY_PORT")


def environment() -> dict[str, str]:
    """This process's, less what is its own."""
    return {name: value for name, value in os.environ.items() if name not in _OWN}


@dataclass(frozen=True)
class Started:
    """A process, the leader of a group of its own.

    Args:
        name: what messages call it.
        process: as it was started.
        log: what it and those that it starts say.
        ends_on: the signal that it ends on at once and in order.
    """

    name: str
    process: subprocess.Popen[bytes]
    log: Path
    ends_on: signal.Signals

    def check(self) -> None:
        """Raises Unfit where it has ended."""
        if self.process.poll() is not None:
            said = "\n".join(self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-8:])
            raise Unfit(f"expected {self.name} to run, it ended with {self.process.returncode}: see {self.log}\n{said}")

    def stop(self) -> None:
        """Ends it and all that it started; by force after ``GRACE`` seconds."""
        with suppress(ProcessLookupError, subprocess.TimeoutExpired):  # what is left of the group is ended below
            os.killpg(self.process.pid, self.ends_on)
            self.process.wait(GRACE)
        self.kill()

    def kill(self) -> None:
        """Ends it and its group as a machine that fails would."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


@dataclass(frozen=True)
class Processes:
    """What was started here.

    Args:
        home: where the logs lie.
    """

    home: Path
    started: list[Started] = field(default_factory=list)

    def start(
        self,
        name: str,
        command: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        user: str | None = None,
        ends_on: signal.Signals = signal.SIGTERM,
    ) -> Started:
        """Starts a process in a session of its own: a Ctrl-C in the terminal reaches whoever stops it, not itself.

        Args:
            name: what messages and its log are called by.
            command: the program and its arguments.
            env: goes over this process's own environment.
            user: another one of the system, where this process may choose.
            ends_on: see ``Started``.
        """
        path = self.home / f"{name}.log"
        with path.open("wb") as log:
            process = subprocess.Popen(
                command,
                env={**environment(), **(env or {})},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                user=user,
                group=user,
                extra_groups=None if user is None else [],
            )
        one = Started(name, process, path, ends_on)
        self.started.append(one)
        return one

    def stop(self) -> None:
        """Stops all of them, the last first."""
        while self.started:
            self.started.pop().stop()
