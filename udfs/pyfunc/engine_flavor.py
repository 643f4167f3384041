"""The ``python_function`` flavor of an artifact, whose loader is this engine. Runs on the driver."""

from __future__ import annotations

import pkgutil
import shutil
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import engine
from udfs.pyfunc import embercast_loader, requirements
from udfs.pyfunc.definition import KEY, Definition
from udfs.pyfunc.embercast_loader import ARCHIVE

#: Where MLflow looks for modules.
CODE: Final = "code"
#: The same release gives the same bytes.
_TIME: Final = (1980, 1, 1, 0, 0, 0)


def add(described: Any, root: Path, *, task: str, definition: Mapping[str, Any], params: Mapping[str, Any]) -> None:
    """Adds the flavor to a model, its loader and the engine to the model's folder.

    Args:
        described: MLflow's model.
        root: of the artifact.
        task: of the table.
        definition: dtype, device, batch_tokens, backend over their defaults.
        params: of the task, logged with the model.

    Raises ParameterError for a definition that can't be.
    """
    import mlflow

    own = Definition.asked(task, definition)
    (root / CODE).mkdir(exist_ok=True)
    loader = embercast_loader.__name__.rpartition(".")[2]
    source = pkgutil.get_data("udfs.pyfunc", f"{loader}.py")  # which may lie in an artifact's archive itself
    assert source is not None
    (root / CODE / f"{loader}.py").write_bytes(source)
    _add_engine(root / ARCHIVE)
    mlflow.pyfunc.add_to_model(
        described,
        loader_module=loader,
        code=CODE,
        conda_env=requirements.CONDA,
        python_env=requirements.PYTHON,
        model_config=dict(params) or None,
        **{KEY: own.to_dict()},
    )


def _add_engine(into: Path) -> None:
    """This release as one file that Python imports from."""
    home = Path(engine.__file__).parent.parent
    if home.is_file():  # imported from an artifact itself
        shutil.copy(home, into)
        return
    with zipfile.ZipFile(into, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(path for package in ("engine", "udfs") for path in (home / package).rglob("*.py")):
            archive.writestr(zipfile.ZipInfo(str(path.relative_to(home)), _TIME), path.read_bytes())
