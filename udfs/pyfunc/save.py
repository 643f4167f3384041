"""An artifact with two flavors: MLflow's ``transformers``, and ``python_function``, whose loader is this engine.

    MLmodel                     both flavors; python_function holds the definition (``udfs.pyfunc.definition``)
    model/, components/         as stock MLflow writes them
    code/embercast_loader.py    what MLflow imports
    embercast.zip               this release of the engine, for a Python that has none

Runs on the driver.
"""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any, Final

import engine
from udfs.pyfunc import embercast_loader
from udfs.pyfunc.definition import KEY, Definition
from udfs.pyfunc.embercast_loader import ARCHIVE
from udfs.pyfunc.signature import signature_of

#: What every artifact needs beside MLflow.
_NEEDED: Final = ("transformers", "torch", "accelerate", "pyarrow", "pandas", "safetensors")
_CODE: Final = "code"
#: The same release gives the same bytes.
_TIME: Final = (1980, 1, 1, 0, 0, 0)


def save_model(
    transformers_model: Any,
    path: str,
    *,
    task: str,
    definition: Mapping[str, Any] | None = None,
    model_config: Mapping[str, Any] | None = None,
    mlflow_model: Any = None,
    pip_requirements: Sequence[str] | None = None,
    **kwargs: Any,
) -> None:
    """Writes the artifact into ``path``.

    Args:
        transformers_model: a pipeline, a dictionary of components or a local folder.
        path: a folder that is empty or not there yet.
        task: of the task table.
        definition: dtype, device, batch_tokens, backend over their defaults.
        model_config: parameters of the task that are logged with the model.
        mlflow_model: MLflow's own, where ``mlflow.models.Model.log`` calls this.
        pip_requirements: None takes the releases that are installed here.
    """
    import mlflow
    from mlflow.models import Model

    described = mlflow_model or Model()
    own = Definition(task=task, release=engine.__version__, **(definition or {}))
    mlflow.transformers.save_model(
        transformers_model,
        path,
        task=task,
        mlflow_model=described,
        model_config=dict(model_config or {}) or None,
        signature=signature_of(task, model_config),
        pip_requirements=list(pip_requirements or _requirements()),
        **kwargs,
    )
    root = Path(path)
    _add_code(root)
    mlflow.pyfunc.add_to_model(
        described,
        loader_module=Path(embercast_loader.__file__).stem,
        code=_CODE,
        conda_env="conda.yaml",
        python_env="python_env.yaml",
        model_config=dict(model_config or {}) or None,
        **{KEY: own.to_dict()},
    )
    described.save(str(root / "MLmodel"))


def _add_code(root: Path) -> None:
    """The loader, and this release of the engine as one file that Python imports from."""
    (root / _CODE).mkdir(exist_ok=True)
    shutil.copy(embercast_loader.__file__, root / _CODE)
    home = Path(engine.__file__).parent.parent
    if home.is_file():  # imported from an artifact itself
        shutil.copy(home, root / ARCHIVE)
        return
    with zipfile.ZipFile(root / ARCHIVE, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(path for package in ("engine", "udfs") for path in (home / package).rglob("*.py")):
            archive.writestr(zipfile.ZipInfo(str(path.relative_to(home)), _TIME), path.read_bytes())


def _requirements() -> list[str]:
    return [f"{package}=={metadata.version(package)}" for package in _NEEDED]
