"""Room on a host's disk: bundles that no process uses go, the least recently used first.

    <root>/bundles/<digest>.held    locked by every process that uses the bundle; its time is that of the last use

Runs on the driver and on executors, after a bundle was written.
"""

from __future__ import annotations

import fcntl
import logging
import os
import shutil
import tempfile
from pathlib import Path
from typing import Final

from engine.errors import ModelError
from engine.models.locks import locked, locked_at_once
from engine.models.manifest import FILE

log = logging.getLogger(__name__)

#: Of the disk that the cache lies on, what bundles may take where nothing else is said.
_PART: Final = 1 / 3
#: What is on its way out.
_GONE: Final = ".gone-"
#: Locks that this process keeps as long as it lives, by file; a forked child keeps them with it.
_HELD: Final[dict[Path, int]] = {}


def hold(folder: Path) -> None:
    """Says that this process uses a bundle, now and as long as it lives: nobody removes it meanwhile.

    To be called before one looks whether the folder is there. Waits while it is being removed.
    """
    path = _held(folder)
    if path in _HELD and not _names(path, _HELD[path]):  # somebody cleared the cache
        os.close(_HELD.pop(path))
    if path not in _HELD:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        fcntl.flock(file, fcntl.LOCK_SH)
        _HELD[path] = file
    os.utime(_HELD[path])


def _names(path: Path, file: int) -> bool:
    return path.exists() and os.path.samestat(path.stat(), os.fstat(file))


def limit(root: Path) -> int:
    """Bytes that the bundles of a cache folder may take: EMBERCAST_CACHE_GB, else a third of the folder's disk.

    Raises ModelError where the setting is no number.
    """
    asked = os.environ.get("EMBERCAST_CACHE_GB")
    if asked is None:
        return int(shutil.disk_usage(root).total * _PART)
    try:
        return int(float(asked) * 1e9)
    except ValueError:
        raise ModelError(f"expected EMBERCAST_CACHE_GB to be a number of gigabytes, got {asked!r}") from None


def make_room(bundles: Path, most: int) -> None:
    """Removes bundles until the rest takes ``most`` bytes, or until all that are left are in use.

    Large files that several bundles have in common count once, and go with the last of them.
    """
    with locked_at_once(bundles / ".evicting.lock") as alone:
        if not alone:  # another process is at it
            return
        for abandoned in bundles.glob(f"{_GONE}*"):
            shutil.rmtree(abandoned)  # who removed it died: we hold the lock
        taken = _bytes(bundles)
        for folder in sorted(_folders(bundles), key=_last_use):
            if taken <= most:
                return
            if _remove(folder):
                taken = _bytes(bundles)
    if taken > most:
        log.warning(
            "bundles that are in use take %.1f GB of this host's disk, %.1f are allowed: raise EMBERCAST_CACHE_GB",
            taken / 1e9,
            most / 1e9,
        )


def _remove(folder: Path) -> bool:
    """Whether a bundle could be removed: no process holds it."""
    with locked_at_once(_held(folder)) as alone:
        if not alone:
            return False
        gone = Path(tempfile.mkdtemp(dir=folder.parent, prefix=_GONE))
        folder.rename(gone / folder.name)  # whole or not there, for whoever looks meanwhile
    shutil.rmtree(gone)
    files = folder.parent / "files"
    with locked(files / ".lock"):
        forget_shared(files)
    log.info("bundle %s was used longest ago and is removed from this host", folder.name[:12])
    return True


def forget_shared(files: Path) -> None:
    """Removes large files that were kept for several bundles and that none has any more; under the folder's lock."""
    for gone in (path for path in files.iterdir() if path.name != ".lock" and path.stat().st_nlink == 1):
        gone.unlink()


def _folders(bundles: Path) -> list[Path]:
    return [path for path in bundles.iterdir() if (path / FILE).exists() and not path.name.startswith(".")]


def _bytes(bundles: Path) -> int:
    """Of all bundles, files with several names once."""
    stats = [path.stat() for folder in _folders(bundles) for path in folder.rglob("*") if path.is_file()]
    return sum({(one.st_dev, one.st_ino): one.st_size for one in stats}.values())


def _last_use(folder: Path) -> float:
    path = _held(folder)
    return path.stat().st_mtime if path.exists() else 0.0


def _held(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.held")
