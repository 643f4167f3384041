"""PostgreSQL from the system's package, with a folder of its own: nothing of a database that is there is touched."""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Final

from demo.cluster.ports import HOST, free_port, wait_for
from demo.cluster.processes import Processes
from demo.place import Unfit

USER: Final = "embercast"


def start(processes: Processes, home: Path) -> str:
    """Starts PostgreSQL on what lies in ``home``, made at the first start. Returns its URI, which holds the password.

    It listens on a free port of this host alone. Raises Unfit where PostgreSQL is missing or can't have the folder.
    """
    programs, user, port = _programs(), _user(), free_port()
    if not (home / "data").exists():
        _make(programs, home, user)
    on = ("-p", str(port), "-c", f"listen_addresses={HOST}", "-c", "unix_socket_directories=")
    command = [str(programs / "postgres"), "-D", str(home / "data"), *on]
    started = processes.start("postgres", command, user=user, ends_on=signal.SIGINT)  # its fast way to end
    wait_for(port, started)
    password = (home / "password").read_text(encoding="utf-8")
    return f"postgresql+psycopg2://{USER}:{password}@{HOST}:{port}/postgres"


def _programs() -> Path:
    """Where initdb lies: Debian keeps it off the PATH, a folder for each release."""
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda found: int(found.parts[-3]))
    found = debian[-1] if debian else shutil.which("initdb")
    if found is None:
        raise Unfit("expected PostgreSQL, there is no initdb: install it (Debian: apt install postgresql)")
    return Path(found).parent


def _user() -> str | None:
    """PostgreSQL refuses to run as root: then as the user that its package makes."""
    if os.geteuid():
        return None
    try:
        return pwd.getpwnam("postgres").pw_name
    except KeyError:
        raise Unfit("expected a user postgres, since this is root: install Debian's package, or be another") from None


def _make(programs: Path, home: Path, user: str | None) -> None:
    home.mkdir(parents=True, exist_ok=True)
    if user is not None:
        _check_open(home)
        shutil.chown(home, user, user)
    home.chmod(0o700)
    password = home / "password"
    password.touch(mode=0o600)
    password.write_text(secrets.token_urlsafe(24), encoding="utf-8")
    if user is not None:
        shutil.chown(password, user, user)
    own = ("--username", USER, "--pwfile", str(password), "--auth", "scram-sha-256")
    command = [str(programs / "initdb"), "--pgdata", str(home / "data"), *own, "--encoding", "UTF8", "--no-locale"]
    done = subprocess.run(command, capture_output=True, text=True, user=user, group=user, cwd=home, check=False)
    if done.returncode:
        raise Unfit(f"expected initdb to make {home / 'data'}, it ended with {done.returncode}: {done.stderr.strip()}")


def _check_open(home: Path) -> None:
    closed = [parent for parent in home.resolve().parents if not parent.stat().st_mode & 0o001]
    if closed:
        raise Unfit(
            f"expected a folder that the user postgres may enter, {closed[-1]} is closed to it: name another one, "
            "as in `python -m demo.cluster --home /var/tmp/embercast`, or be another user than root"
        )
