"""Files of a local or mounted disk, opened only below the roots: links are followed first, and looked at again."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Sequence
from typing import BinaryIO, Final

from engine.errors import RowError

_BUFFER: Final = 1 << 18
#: Bytes of a path at most, as Linux has it; a longer one is not followed, which takes time by the square of its length.
_PATH: Final = 4096


def open_below(path: str, folders: Sequence[str]) -> BinaryIO:
    """A regular file that lies below one of ``folders`` once all links and ``..`` are followed.

    Raises RowError: outside_roots, whether it is there or not; not_found; invalid_audio for a folder, pipe, socket or
    device, which is not opened and so can't block; unreadable.
    """
    if len(os.fsencode(path)) >= _PATH or "\0" in path:
        raise _not_found()
    real, roots = os.path.realpath(path), [os.path.realpath(folder) for folder in folders]
    _check_below(real, roots)
    try:
        _check_regular(os.stat(real).st_mode)
        # O_NONBLOCK and O_NOFOLLOW for what is put there after it was looked at.
        descriptor = os.open(real, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except (FileNotFoundError, NotADirectoryError):
        raise _not_found() from None
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            raise _not_found() from None
        raise RowError("unreadable", f"opening the file raised {type(error).__name__}: {error.strerror}") from None
    file = os.fdopen(descriptor, "rb", buffering=_BUFFER)
    try:
        _check_regular(os.fstat(descriptor).st_mode)
        _check_below(_opened(descriptor, real), roots)
    except BaseException:
        file.close()
        raise
    return file


def _opened(descriptor: int, real: str) -> str:
    """Where the open file lies: a folder above it may have become a link between looking and opening."""
    link = f"/proc/self/fd/{descriptor}"
    if os.path.lexists(link):
        return os.readlink(link)
    again = os.path.realpath(real)  # no Linux
    return again if os.path.samestat(os.fstat(descriptor), os.stat(again)) else "/"


def _check_below(real: str, roots: Sequence[str]) -> None:
    if not any(real == root or real.startswith(root.rstrip("/") + "/") for root in roots):
        raise RowError(
            "outside_roots", "expected a file below one of the roots, it lies elsewhere, or its link leads out"
        )


def _check_regular(mode: int) -> None:
    if not stat.S_ISREG(mode):
        found = "folder" if stat.S_ISDIR(mode) else "pipe, socket or device"
        raise RowError("invalid_audio", f"expected a path that names a file, it names a {found}")


def _not_found() -> RowError:
    return RowError("not_found", "expected a file at the path, there is none")
