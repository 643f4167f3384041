"""What an artifact needs of Python: requirements.txt, conda.yaml and python_env.yaml, as MLflow reads them.

The releases that are installed here are asked for; the engine itself travels inside the artifact. Runs on the driver.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any, Final

from engine.models.folder import read_json
from engine.schema import schema_of

CONDA: Final = "conda.yaml"
PYTHON: Final = "python_env.yaml"
_ALWAYS: Final = ("transformers", "torch", "accelerate", "safetensors", "pyarrow", "pandas", "psutil")
_SOUND: Final = ("soundfile", "soxr", "av")
_CHAT: Final = ("llguidance", "jsonschema")
_PIECES: Final = ("*.spm", "*.model")


def needed(task: str, folders: Sequence[Path], *, adapter: bool) -> list[str]:
    """The requirements of a task: no more than what runs.

    Args:
        task: of the table.
        folders: of the artifact and of the model's files: a tokenizer may be sentencepiece's, weights bitsandbytes'.
        adapter: whether MLflow's own loader needs PEFT; the engine merges adapters itself.
    """
    schema = schema_of(task)
    packages = [*_ALWAYS]
    if "audio" in {role.name for role in schema.inputs} | {one.name for one in schema.fields}:
        packages += _SOUND
    if task == "llm/v1/chat":
        packages += _CHAT
    if any(any(folder.rglob(pattern)) for folder in folders for pattern in _PIECES):
        packages.append("sentencepiece")
    if any(read_json(folder / "config.json").get("quantization_config") for folder in folders):
        packages.append("bitsandbytes")
    packages += ["peft"] * adapter
    return [_pinned(package) for package in packages]


def write(
    root: Path,
    needed: list[str],
    *,
    pip_requirements: Any = None,
    extra_pip_requirements: Any = None,
    conda_env: Any = None,
) -> None:
    """Writes the files; what is asked for goes over ``needed`` as in ``mlflow.transformers.log_model``.

    Raises ValueError, as MLflow does, where more than one of the three is given.
    """
    import yaml
    from mlflow.utils import environment as own

    own._validate_env_arguments(conda_env, pip_requirements, extra_pip_requirements)
    if conda_env is not None:
        conda, pip, constraints = own._process_conda_env(conda_env)
    else:
        conda, pip, constraints = own._process_pip_requirements(needed, pip_requirements, extra_pip_requirements)
    (root / CONDA).write_text(yaml.safe_dump(conda, default_flow_style=False), encoding="utf-8")
    (root / "requirements.txt").write_text("\n".join(pip), encoding="utf-8")
    if constraints:
        (root / "constraints.txt").write_text("\n".join(constraints), encoding="utf-8")
    own._PythonEnv.current().to_yaml(str(root / PYTHON))


def _pinned(package: str) -> str:
    """The release that is installed, without the label of a build that no registry has; the name alone for none."""
    try:
        return f"{package}=={metadata.version(package).partition('+')[0]}"
    except metadata.PackageNotFoundError:
        return package
