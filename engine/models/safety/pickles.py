"""Pickles: reading one can run any code, so none is read, and none travels in a bundle. Runs on the driver."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from engine.errors import UnsafeModelError

#: What such files are called, by the habits of torch, joblib and dill.
PATTERNS: Final = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl", "*.pickle", "*.joblib", "*.dill")


def refuse(folder: Path, *, expected: str, advice: str) -> None:
    """For a folder that lacks what is ``expected``: raises UnsafeModelError where it has a pickle in its place."""
    for pattern in PATTERNS:
        for found in sorted(folder.glob(pattern)):
            raise UnsafeModelError(
                f"expected {expected} in {folder}, found only {found.name}, which is unpickled to be read. {advice}"
            )
