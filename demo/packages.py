"""Packages on PyPI that hold a model."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path


def model_of(package: str) -> Path:
    """The folder ``model`` inside a package.

    Raises FileNotFoundError where the package is not installed.
    """
    return folder_of(package) / "model"


def folder_of(package: str) -> Path:
    """The folder of a package, which is found and not imported: only its files are needed.

    Raises FileNotFoundError where the package is not installed.
    """
    spec = find_spec(package.replace("-", "_"))
    if spec is None or spec.origin is None:
        raise FileNotFoundError(f"expected the package {package}: run `uv sync`, or install embercast[demo]")
    return Path(spec.origin).parent
