"""The loader that stock MLflow imports: finds the engine, then hands over. Copied into each artifact's code folder.

An installed embercast wins; the one inside the artifact serves a Python that has none. One engine a process: the
first artifact's serves the later ones, which it refuses where their format is newer than it can read. The module is
the same for all releases of a format, since Python keeps one module of a name. It needs Python's own library alone.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any, Final

#: The engine inside the artifact.
ARCHIVE: Final = "embercast.zip"


def _load_pyfunc(path: str, model_config: dict[str, Any] | None = None) -> Any:
    """What ``mlflow.pyfunc.load_model`` calls with the artifact's folder.

    Raises ImportError where there is no engine, or another package in the place of its own.
    """
    root = Path(path)
    if not _found("udfs.pyfunc"):
        _use(root / ARCHIVE)
    from udfs.pyfunc.model import load_artifact

    return load_artifact(root, model_config or {})


def _use(archive: Path) -> None:
    """Imports the engine from the archive from here on. Behind all else on the path, so that nothing is shadowed."""
    for name in ("engine", "udfs"):
        found = importlib.util.find_spec(name)
        if found is not None and found.origin is not None:  # a folder without __init__.py gives way to the archive
            raise ImportError(
                f"expected embercast with udfs.pyfunc, or no package {name}; this Python has one at {found.origin}: "
                "install the release of embercast that logged the model, or rename the other package"
            )
    if not archive.is_file():
        raise ImportError(
            f"expected embercast installed, or {ARCHIVE} in the model's folder, found neither: pip install embercast"
        )
    sys.path.append(str(archive))
    importlib.invalidate_caches()


def _found(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False
