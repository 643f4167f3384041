"""The loader that stock MLflow imports: finds the engine, then hands over. Copied into each artifact's code folder.

An installed embercast wins; the one inside the artifact serves a Python that has none. One engine a process: the
first artifact's serves the later ones, which it refuses where their format is newer than it can read. The module is
the same for all releases of a format, since Python keeps one module of a name.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any, Final

#: The engine inside the artifact.
ARCHIVE: Final = "embercast.zip"


def _load_pyfunc(path: str, model_config: dict[str, Any] | None = None) -> Any:
    """What ``mlflow.pyfunc.load_model`` calls with the artifact's folder."""
    root = Path(path)
    if not _found():
        sys.path.append(str(root / ARCHIVE))
        importlib.invalidate_caches()
    from udfs.pyfunc.model import load_artifact

    return load_artifact(root, model_config or {})


def _found() -> bool:
    try:
        return importlib.util.find_spec("udfs.pyfunc") is not None
    except ModuleNotFoundError:
        return False
