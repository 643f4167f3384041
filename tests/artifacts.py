"""Artifacts as ``udfs.pyfunc`` logs them, made in a moment of a folder, and what stock ``spark_udf`` changes."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

import engine
from udfs.pyfunc import embercast_loader
from udfs.pyfunc.definition import KEY, Definition
from udfs.pyfunc.signature import signature_of


def write(model: Path, into: Path, *, task: str, params: Mapping[str, Any] | None = None, **definition: Any) -> str:
    """Writes the artifact ``into`` of a model that was saved in a folder; ``params`` are logged. Returns its path."""
    import mlflow
    from mlflow.models import Model

    shutil.copytree(model, into / "model")
    (into / "code").mkdir()
    shutil.copy(embercast_loader.__file__, into / "code")
    (into / "requirements.txt").write_text("mlflow\n", encoding="utf-8")
    described = Model(signature=signature_of(task, params))
    described.add_flavor("transformers", task=task, framework="pt", model_binary="model")
    own = Definition(task=task, release=engine.__version__, **{"dtype": "float32", **definition})
    mlflow.pyfunc.add_to_model(
        described,
        loader_module="embercast_loader",
        code="code",
        model_config=dict(params or {}) or None,
        **{KEY: own.to_dict()},
    )
    described.save(str(into / "MLmodel"))
    return str(into)


def as_stock(value: Any, of: pa.DataType) -> Any:
    """What stock ``spark_udf`` gives for a value: a null struct is one of nulls, a null list of nested values empty."""
    if pa.types.is_struct(of):
        return {one.name: as_stock((value or {}).get(one.name), one.type) for one in of}
    if pa.types.is_list(of):
        if value is None:
            return [] if pa.types.is_nested(of.value_type) else None
        return [as_stock(one, of.value_type) for one in value]
    return value
