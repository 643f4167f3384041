"""What a run needs on this machine: small checks, each with a sentence that says what to do. Runs on the driver."""

from __future__ import annotations

import os
import re
import shutil
import sqlite3
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from enum import Enum
from importlib import metadata
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from engine.errors import ModelError

_PACKAGES: Final = ("engine", "udfs", "jobs")
_JAVA: Final = 17
_PYTHON: Final = ((3, 11), (3, 13))
_ROOM: Final = 5 << 30


class State(Enum):
    """ok: nothing to do; warn: a run may work; fail: it won't."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"

    @property
    def color(self) -> str:
        """The color of the word on a terminal."""
        return {"ok": "green", "warn": "yellow", "fail": "red"}[self.value]


@dataclass(frozen=True)
class Check:
    """One thing looked at: what was found, and what to do where that is not enough."""

    name: str
    state: State
    message: str


def examine() -> list[Check]:
    """Every check, in the order in which things are needed."""
    return [_look(check) for check in (python, packages, names, java, disk, jars, devices, registry)]


def _look(check: Callable[[], Check]) -> Check:
    try:
        return check()
    except OSError as error:  # such as a cache folder that may not be written: found, not a reason to stop looking
        return Check(check.__name__, State.FAIL, f"{error}: check the permissions, and EMBERCAST_CACHE")
    except ModelError as error:  # a cache folder of another user, or one that others may write into
        return Check(check.__name__, State.FAIL, str(error))


def python() -> Check:
    """The interpreter's version."""
    low, high = _PYTHON
    found = f"{sys.version_info[0]}.{sys.version_info[1]}"
    if low <= sys.version_info[:2] <= high:
        return Check("python", State.OK, f"{found} at {sys.executable}")
    wanted = " to ".join(".".join(map(str, version)) for version in _PYTHON)
    return Check("python", State.FAIL, f"expected {wanted}, got {found}: make the environment with one of those")


def packages() -> Check:
    """The versions of what embercast depends on, against its own requirements."""
    from packaging.requirements import Requirement

    wrong, found = [], []
    for line in metadata.requires("embercast") or []:
        wanted = Requirement(line)
        if wanted.marker is not None and not wanted.marker.evaluate({"extra": ""}):
            continue
        try:
            version = metadata.version(wanted.name)
        except metadata.PackageNotFoundError:
            wrong.append(f"{wanted} (missing)")
            continue
        found.append(f"{wanted.name} {version}")
        if not wanted.specifier.contains(version, prereleases=True):
            wrong.append(f"{wanted} (got {version})")
    if wrong:
        return Check(
            "packages", State.FAIL, f"expected {', '.join(wrong)}: run make demo, or pip install embercast again"
        )
    return Check("packages", State.OK, ", ".join(found))


def names() -> Check:
    """Another package or module named engine, udfs or jobs on sys.path."""
    home = Path(__file__).resolve().parent.parent
    first: list[str] = []
    later: list[str] = []
    seen_home = False
    for entry in dict.fromkeys(Path(entry or ".").resolve() for entry in sys.path):
        seen_home = seen_home or entry == home
        for name in _PACKAGES if entry != home else ():
            for found in (entry / name / "__init__.py", entry / f"{name}.py"):
                if found.exists():
                    (later if seen_home else first).append(str(found))
    if first:
        return Check("names", State.FAIL, f"found before embercast's own: {', '.join(first)}; rename or uninstall it")
    if later:
        return Check("names", State.WARN, f"also on sys.path: {', '.join(later)}; keep it behind {home}")
    return Check("names", State.OK, f"{', '.join(_PACKAGES)} are those of {home}")


def java() -> Check:
    """The Java that Spark will start: $JAVA_HOME's, else the one on PATH."""
    home = os.environ.get("JAVA_HOME")
    command = str(Path(home) / "bin" / "java") if home else shutil.which("java")
    advice = f"install a JDK {_JAVA} or later (openjdk-{_JAVA}-jdk-headless) or set JAVA_HOME to one"
    if command is None or not Path(command).exists():
        return Check("java", State.FAIL, f"expected Java {_JAVA} or later, found none: {advice}")
    answer = subprocess.run([command, "-version"], capture_output=True, text=True, timeout=30, check=False)
    match = re.search(r'version "(?:1\.)?(\d+)', answer.stderr + answer.stdout)
    if match is None or int(match[1]) < _JAVA:
        return Check(
            "java", State.FAIL, f"expected Java {_JAVA} or later, got {match and match[1]} at {command}: {advice}"
        )
    return Check("java", State.OK, f"{match[1]} at {command}")


def jars() -> Check:
    """Delta's jars in the cache."""
    from jobs.jars import folder

    count = len(list(folder().glob("*.jar")))
    if count:
        return Check("delta jars", State.OK, f"{count} in {folder()}")
    return Check("delta jars", State.WARN, f"none in {folder()}: the first run fetches them, which needs Maven Central")


def disk() -> Check:
    """Room for bundles and jars in the cache."""
    from engine.models.cache import cache_root

    free = shutil.disk_usage(cache_root()).free
    text = f"{free / (1 << 30):.1f} GiB free at {cache_root()}"
    if free < _ROOM:
        return Check("disk", State.WARN, f"{text}: free some, or point EMBERCAST_CACHE at a larger disk")
    return Check("disk", State.OK, text)


def devices() -> Check:
    """What the driver's host computes on; executors are probed by `embercast plan`."""
    from engine.device import choose_device, choose_dtype, detect

    seen = detect()
    device = choose_device("auto", seen)
    dtype = choose_dtype("auto", seen, device.value)
    memory = f"{seen.memory / (1 << 30):.0f} GiB"
    gpus = ", ".join(gpu.name for gpu in seen.gpus) or "no GPU"
    return Check("devices", State.OK, f"{seen.cores} cores, {memory}, {gpus}; auto means {device.value} and {dtype}")


def registry() -> Check:
    """The MLflow registry, without MLflow's own patience for servers that are not there."""
    uri = os.environ.get("MLFLOW_REGISTRY_URI") or os.environ.get("MLFLOW_TRACKING_URI")
    if not uri:
        return Check("registry", State.WARN, "MLFLOW_TRACKING_URI is unset: set it to where your models are logged")
    parts = urlsplit(uri)
    if parts.scheme in ("http", "https"):
        return _server(uri, f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}")
    if parts.scheme == "sqlite":
        return _sqlite(Path(uri.removeprefix("sqlite:///")))
    return Check("registry", State.OK, f"{parts.scheme or 'a folder'} (looked at when a model is asked for)")


def _server(uri: str, shown: str) -> Check:
    try:
        urllib.request.urlopen(f"{uri.rstrip('/')}/health", timeout=5).close()
    except urllib.error.HTTPError:
        pass  # it answers: a server that asks for a login is there
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        return Check("registry", State.FAIL, f"{shown} does not answer ({reason}): start it or set MLFLOW_TRACKING_URI")
    return Check("registry", State.OK, f"{shown} answers")


def _sqlite(path: Path) -> Check:
    if not path.exists():
        return Check("registry", State.WARN, f"there is no {path} yet: `embercast log` makes it")
    try:
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
            count = database.execute("SELECT count(*) FROM registered_models").fetchone()[0]
    except sqlite3.Error as error:
        return Check("registry", State.FAIL, f"{path} is no MLflow registry ({error}): set MLFLOW_TRACKING_URI to one")
    return Check("registry", State.OK, f"{count} registered models in {path}")
