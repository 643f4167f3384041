"""An MLflow artifact, looked at before anything of it is loaded. Runs on the driver."""

from __future__ import annotations

from pathlib import Path

from engine.models import flavor
from engine.models.safety import code, paths


def check(uri: str, root: Path, *, allow_foreign_code: bool = False) -> tuple[str, ...]:
    """Refuses an artifact that reaches out of its folder, or that brings code for this engine or MLflow to run.

    Args:
        uri: what the model is called in messages.
        root: the folder with its MLmodel.
        allow_foreign_code: lets code pass; paths that leave the folder never do.

    Returns what a person should know of the code that lies in it and is not run here, in sentences.

    Raises UnsafeModelError.
    """
    described = flavor.described(root)
    paths.check(uri, root, described)
    return code.check(uri, root, described, allow_foreign_code=allow_foreign_code)
