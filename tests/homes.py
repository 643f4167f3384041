"""Where tests that score keep bundles and what MLflow tracks, apart from the user's own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def home(folder: Path, *, cache: Path | None = None) -> Iterator[pytest.MonkeyPatch]:
    """Within the block, and in the processes started there, $EMBERCAST_CACHE is ``cache``, or the folder, with the
    user's Delta jars, and MLflow keeps its tables in the folder. Gives what further settings go with.
    """
    from jobs.jars import delta_jars

    kept = cache or folder
    kept.mkdir(mode=0o700, exist_ok=True)
    (kept / "jars").symlink_to(delta_jars()[0].parent.parent)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EMBERCAST_CACHE", str(kept))
        patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{folder}/mlflow.db")
        yield patch
