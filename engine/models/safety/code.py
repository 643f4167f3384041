"""Code in an artifact: the module that loads its python_function, and the folder that MLflow puts before all others.

This engine imports neither. Stock MLflow imports both, so an artifact whose code takes the place of another's is
refused, though its other files could be read. Runs on the driver.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from engine.errors import UnsafeModelError
from engine.models import flavor
from engine.models.manifest import sha256
from engine.models.safety import ALLOW

#: The module of the code folder by which models that were logged here are loaded.
OWN: Final = "embercast_loader"
#: Digests of it, one a format: releases of one format write the same file (``udfs.pyfunc.embercast_loader``).
OWN_DIGESTS: Final = frozenset({"71ed9a53640146704f4084d310f649d35a49d9bf705d7ea112a102c0cdac8810"})
_LOADERS: Final = ("mlflow.transformers", "mlflow.sentence_transformers", OWN)
#: Modules that the engine, MLflow or Spark, or what these need, import at some time in a process that loads models,
#: beside Python's own.
_TAKEN: Final = frozenset(
    (
        *("_cffi_backend", "_distutils_hack", "_soundfile", "_soundfile_data", "_yaml", "accelerate", "aiohttp"),
        *("alembic", "annotated_types", "anyio", "attr", "attrs", "av", "bitsandbytes", "cachetools", "certifi"),
        *("cffi", "charset_normalizer", "click", "cloudpickle", "cryptography", "cuda", "databricks", "dateutil"),
        *("delta", "docker", "dotenv", "embercast", "engine", "fastapi", "filelock", "flask", "fsspec", "functorch"),
        *("gguf", "git", "gitdb", "google", "graphene", "graphql", "gunicorn", "h11", "hf_xet", "httpcore"),
        *("httpcore2", "httpx", "httpx2", "huey", "huggingface_hub", "idna", "importlib_metadata", "jinja2"),
        *("joblib", "jobs", "jsonschema", "kernels", "llguidance", "markupsafe", "matplotlib", "mlflow", "mpmath"),
        *("multidict", "narwhals", "networkx", "numpy", "nvidia", "opentelemetry", "packaging", "pandas", "peft"),
        *("PIL", "pip", "pkg_resources", "psutil", "py4j", "pyarrow", "pydantic", "pydantic_core", "pygments"),
        *("pyspark", "pytz", "referencing", "regex", "requests", "rich", "rpds", "safetensors", "scipy"),
        *("sentence_transformers", "sentencepiece", "setuptools", "sitecustomize", "six", "sklearn", "skops"),
        *("smmap", "sniffio", "soundfile", "soxr", "sqlalchemy", "sqlparse", "starlette", "sympy", "threadpoolctl"),
        *("tiktoken", "tokenizers", "torch", "torchaudio", "torchgen", "torchvision", "tqdm", "transformers"),
        *("triton", "truststore", "typer", "typing_extensions", "typing_inspection", "tzdata", "udfs", "urllib3"),
        *("usercustomize", "uvicorn", "vllm", "werkzeug", "xxhash", "yaml", "yarl", "zipp", "zstandard"),
    )
)


def check(uri: str, root: Path, described: Mapping[str, Any], *, allow_foreign_code: bool = False) -> tuple[str, ...]:
    """Refuses a foreign loader, code that shadows a module, and an altered loader of ours, unless it is allowed.

    Returns a sentence on code of the artifact's own that shadows nothing: it may lie there, unused.

    Raises UnsafeModelError.
    """
    flavors: Mapping[str, Any] = described.get("flavors") or {}
    python: Mapping[str, Any] = flavors.get("python_function") or {}
    read = flavor.READ & flavors.keys()
    if not allow_foreign_code and python:
        _check_loader(uri, python.get("loader_module"), read=bool(read))
    if not read:
        return ()
    folders = {str(one["code"]) for one in flavors.values() if isinstance(one, Mapping) and one.get("code")}
    brought = [path for name in sorted(folders) for path in _modules(root / name)]
    if not allow_foreign_code:
        _check_names(uri, root, brought)
    others = ", ".join(str(path.relative_to(root)) for path in brought if path.stem != OWN)
    return (f"it brings code of its own ({others}), which is not run here; stock MLflow runs it",) if others else ()


def _check_loader(uri: str, loader: Any, *, read: bool) -> None:
    if not read:
        raise UnsafeModelError(
            f"{uri} is no transformers model: scoring it runs the code it was logged with ({loader}), on the driver "
            f"and on every executor. {ALLOW}"
        )
    if loader not in _LOADERS:
        raise UnsafeModelError(
            f"expected {uri} to be loaded by one of {', '.join(_LOADERS)}, its MLmodel names {loader}: stock MLflow "
            "would run that module, and its answers need not be those of the transformers model beside it. "
            f"{ALLOW}; the transformers model is scored then, and the module is not run here"
        )


def _check_names(uri: str, root: Path, brought: list[Path]) -> None:
    for path in brought:
        name = path.name.partition(".")[0]
        if name == OWN and not (path.name == f"{OWN}.py" and sha256(path) in OWN_DIGESTS):
            raise UnsafeModelError(
                f"expected {path.relative_to(root)} of {uri} as a release of embercast wrote it, it was changed, or a "
                f"later release wrote it: log the model again with udfs.pyfunc.log_model. {ALLOW}"
            )
        if name in sys.stdlib_module_names or name in _TAKEN:
            raise UnsafeModelError(
                f"{uri} brings {path.relative_to(root)}, by which stock MLflow would replace the module {name} in the "
                f"whole process: rename it and log the model again. {ALLOW}"
            )


def _modules(folder: Path) -> list[Path]:
    """What can be imported from the folder: modules, packages, and folders, which are packages too."""
    found = sorted(folder.iterdir()) if folder.is_dir() else []
    kinds = (".py", ".pyc", ".so", ".pyd")
    return [path for path in found if path.name != "__pycache__" and (path.is_dir() or path.suffix in kinds)]
