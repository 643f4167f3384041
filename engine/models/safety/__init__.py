"""What a model must not bring, looked at before anything of it is loaded. Files are read as JSON and YAML alone.

    artifact.py   a folder that MLflow wrote: the spine
    paths.py      what names files elsewhere: ../, absolute paths, links
    code.py       the loader that MLmodel names, the folder of code
    remote.py     code that transformers would fetch or import: auto_map, kernels
    pickles.py    what is unpickled to be read

Runs on the driver.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from engine.errors import ModelError

#: Ends the sentence that refuses foreign code.
ALLOW: Final = "Where you trust that code, write allow_foreign_code: true (allow_foreign_code=True)"


def read_json(path: Path) -> Any:
    """What a JSON file says. Raises ModelError where it is none."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ModelError(f"expected JSON in {path}, got {type(error).__name__}: save the model again") from error
