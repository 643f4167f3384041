"""One copy of a bundle per host: content-addressed folders, written under a lock, verified, then mapped by all.

    <root>/bundles/<digest>/          a bundle
    <root>/bundles/<digest>.verified  the files' sizes and times when their digests were last seen to be right
    <root>/bundles/<digest>.lock      held while the folder is written
    <root>/bundles/<digest>.held      by whom it is used (engine.models.eviction)
    <root>/bundles/files/<sha256>     large files, by hard links: bundles that have one in common have it once

``root`` is $EMBERCAST_CACHE, else ~/.cache/embercast; mode 0700, one per user. Runs on the driver and on executors.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

from engine.errors import DamagedBundleError, ModelError
from engine.models.eviction import forget_shared, hold, limit, make_room
from engine.models.locks import locked, locked_at_once
from engine.models.manifest import FILE, Manifest, sha256

log = logging.getLogger(__name__)

#: Smaller files are not worth a link.
SHARED_BYTES: Final = 1 << 20


def cache_root() -> Path:
    """The cache folder of this user on this host, made where it is missing.

    Raises ModelError where it is another user's or others may write into it: what lies in a cache is trusted.
    """
    root = _own_root()
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    owners, user = {root.lstat().st_uid, root.stat().st_uid}, os.geteuid()
    if owners != {user}:
        raise ModelError(
            f"expected the cache folder {root} to belong to the user {user}, it is of {max(owners - {user})}: "
            "point EMBERCAST_CACHE at a folder of this user"
        )
    if root.stat().st_mode & 0o022:
        raise ModelError(
            f"expected the cache folder {root} to be its user's alone, others may write into it: "
            "chmod 700 it, or point EMBERCAST_CACHE at another folder"
        )
    return root


def _own_root() -> Path:
    return Path(os.environ.get("EMBERCAST_CACHE") or "~/.cache/embercast").expanduser()


def evicts(root: Path | None) -> bool:
    """Whether bundles in a cache folder may be removed for others: in this user's on this host.

    One that several hosts share, which may be read-only to this one, is whoever's named it: nothing is locked in it.
    """
    return root is None or root == _own_root()


def ensure(digest: str, write: Callable[[Path], None], *, root: Path | None = None) -> Path:
    """The folder of a bundle on this host; where it is missing or damaged, one process writes it and the others wait.

    Args:
        digest: of the bundle's manifest.
        write: fills an empty folder with the bundle's files.
        root: the cache folder; None takes ``cache_root()``.

    Raises DamagedBundleError where what was written does not have the digest.
    """
    bundles = (root or cache_root()) / "bundles"
    bundles.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder = bundles / digest
    own = evicts(root)
    if own:
        hold(folder)
    if is_whole(folder):
        return folder
    with locked(bundles / f"{digest}.lock"):
        if is_whole(folder):
            return folder
        if folder.exists():
            log.warning("bundle %s is damaged: it is made again", digest[:12])
            shutil.rmtree(folder)
        for abandoned in bundles.glob(f".writing-{digest}-*"):
            shutil.rmtree(abandoned)  # its writer died: we hold the lock
        unfinished = Path(tempfile.mkdtemp(dir=bundles, prefix=f".writing-{digest}-"))
        try:
            write(unfinished)
            verify(unfinished, digest)
            _share(unfinished, bundles / "files")
            _sync(unfinished)
            unfinished.rename(folder)
        except BaseException:
            shutil.rmtree(unfinished)
            raise
        _stamp(folder)
    if own:
        make_room(bundles, limit(bundles))
    return folder


def is_whole(folder: Path) -> bool:
    """True where the folder's files are those that were verified: same sizes, times and inodes, else same digests."""
    if not (folder / FILE).exists():
        return False
    stamp = _stamp_of(folder)
    if stamp.exists() and stamp.read_text(encoding="utf-8") == _state(folder):
        return True
    try:
        verify(folder, folder.name)
    except DamagedBundleError:
        return False
    _stamp(folder)
    return True


def verify(folder: Path, digest: str) -> None:
    """Raises DamagedBundleError where the manifest or a file does not have its digest."""
    try:
        manifest = Manifest.read(folder)
    except (OSError, ValueError, TypeError) as error:
        raise DamagedBundleError(f"expected a bundle in {folder}, its {FILE} can't be read: {error}") from error
    if manifest.digest != digest:
        raise DamagedBundleError(f"expected the bundle {digest[:12]} in {folder}, it is {manifest.digest[:12]}")
    for name, (expected, size) in manifest.files.items():
        path = folder / name
        if not path.is_file() or path.stat().st_size != size or sha256(path) != expected:
            raise DamagedBundleError(
                f"expected {name} of bundle {digest[:12]} with its digest, it is missing or changed"
            )


def _share(folder: Path, files: Path) -> None:
    """Puts a link to the file that another bundle has already in the place of each large file that equals one."""
    files.mkdir(mode=0o700, exist_ok=True)
    with locked(files / ".lock"):
        forget_shared(files)
        for name, (digest, size) in Manifest.read(folder).files.items():
            if size < SHARED_BYTES:
                continue
            known = files / digest
            try:
                if known.exists() and sha256(known) == digest:
                    os.link(known, folder / ".link")
                    (folder / ".link").replace(folder / name)
                else:
                    known.unlink(missing_ok=True)
                    os.link(folder / name, known)
            except OSError as error:  # a file system without hard links: each bundle keeps its own
                log.info("%s is not shared between bundles: %s", name, error)


def scratch(root: Path) -> Path:
    """A new empty folder on the cache's own disk, for the caller to fill and remove."""
    return Path(tempfile.mkdtemp(dir=root, prefix=".making-"))


@contextmanager
def workspace(root: Path) -> Iterator[Path]:
    """A ``scratch`` folder that is removed at the end; those of processes that died are removed first."""
    with locked(root / ".making.lock"):
        for lock in root.glob(".making-*.lock"):
            _remove_abandoned(lock)
        folder = scratch(root)
        own = ExitStack()
        own.enter_context(locked(_lock_of(folder)))
    with own:
        try:
            yield folder
        finally:
            shutil.rmtree(folder)
            _lock_of(folder).unlink()


def _lock_of(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.lock")


def _remove_abandoned(lock: Path) -> None:
    with locked_at_once(lock) as had:
        if had:  # its process is dead
            shutil.rmtree(lock.with_suffix(""), ignore_errors=True)
            lock.unlink(missing_ok=True)


def write_atomically(path: Path, text: str) -> None:
    """Writes a small file so that a reader sees all of it or none."""
    unfinished = path.with_name(f".{path.name}-{os.getpid()}")
    unfinished.write_text(text, encoding="utf-8")
    unfinished.rename(path)


def _state(folder: Path) -> str:
    stats = {str(p.relative_to(folder)): p.stat() for p in sorted(folder.rglob("*")) if p.is_file()}
    return json.dumps({name: [s.st_size, s.st_mtime_ns, s.st_ino] for name, s in stats.items()})


def _stamp_of(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.verified")


def _stamp(folder: Path) -> None:
    write_atomically(_stamp_of(folder), _state(folder))


def _sync(folder: Path) -> None:
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())
