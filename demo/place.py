"""Where the demonstration lives, what it needs of the machine, and how it starts afresh."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
FOLDER: Final = ROOT / ".demo"
TRACKING_URI: Final = "sqlite:///.demo/mlflow.db"  # relative: the demonstration runs in the repository's root
ROOM: Final = 2 << 30

#: Of a JVM that lives for minutes: its second compiler takes more processor time than what it compiles would.
BRIEF_JVM: Final = "-XX:TieredStopAtLevel=1"

_OWN: Final = ("tables", "artifacts", "recordings", "mlflow.db")


class Unfit(Exception):
    """The machine lacks something; the message is one sentence that says what to do."""


def check() -> list[str]:
    """What was found, a line each. Raises Unfit for a wrong Python or Java or less than 2 GiB of free disk."""
    from jobs import doctor

    found = []
    for look in (doctor.python, doctor.java):
        seen = look()
        if seen.state is doctor.State.FAIL:
            raise Unfit(seen.message)
        found.append(f"{seen.name}: {seen.message}")
    free = shutil.disk_usage(ROOT).free
    room = f"{free / (1 << 30):.1f} GiB free at {ROOT}"
    if free < ROOM:
        raise Unfit(f"expected at least {ROOM >> 30} GiB of free disk, got {room}: free some and start again")
    return [*found, f"disk: {room}"]


def enter() -> None:
    """Works in the repository's root with MLflow on sqlite there and no hub, whatever the caller's environment says."""
    os.chdir(ROOT)
    os.environ["MLFLOW_TRACKING_URI"] = TRACKING_URI
    os.environ.pop("MLFLOW_REGISTRY_URI", None)
    os.environ["MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR"] = "false"
    os.environ["HF_HUB_OFFLINE"] = "1"
    os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"
    os.environ.setdefault("SPARK_SUBMIT_OPTS", BRIEF_JVM)


def start_afresh(folder: Path = FOLDER) -> None:
    """Removes what an earlier demonstration left in ``folder``, and nothing else.

    Raises Unfit where the folder is a link: what it points at is not the demonstration's to remove.
    """
    if folder.is_symlink():
        raise Unfit(
            f"expected a folder at {folder}, got a link to {folder.readlink()}: remove the link and start again"
        )
    folder.mkdir(exist_ok=True)
    for name in _OWN:
        path = folder / name
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
