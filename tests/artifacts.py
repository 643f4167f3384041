"""Artifacts as ``udfs.pyfunc.save_model`` lays them out, and what stock ``spark_udf`` changes of their answers.

They are written by hand from a model's folder in a moment, so that they can be of any release and format, and of tasks
that stock MLflow has no pipeline for.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

import engine
from udfs.pyfunc import embercast_loader
from udfs.pyfunc.definition import FORMAT, KEY
from udfs.pyfunc.signature import has_signature, signature_of


def write(
    folder: Path,
    into: Path,
    task: str,
    *,
    config: Mapping[str, Any] | None = None,
    params: Any = None,
    **definition: Any,
) -> Path:
    """Writes an artifact of the model in ``folder``; dtype is float32 on the CPU, on which tests compare.

    Args:
        folder: as ``save_pretrained`` writes it.
        into: where the artifact goes.
        task: of the table.
        config: model_config that it is logged with.
        params: MLflow ParamSpecs in the signature, in place of those of the same names.
        definition: over the rest of what the loader is told.
    """
    import mlflow
    from mlflow.models import Model
    from mlflow.types.schema import ParamSchema

    shutil.copytree(folder, into / "model")
    (into / "code").mkdir()
    shutil.copy(embercast_loader.__file__, into / "code")
    (into / "requirements.txt").touch()
    described = Model()
    if has_signature(task):
        described.signature = signature_of(task, config)
        own = {one.name: one for one in [*described.signature.params, *(params or ())]}
        described.signature.params = ParamSchema(list(own.values()))
    described.add_flavor("transformers", task=task, model_binary="model")
    told = {"task": task, "release": engine.__version__, "format": FORMAT, "dtype": "float32", "device": "cpu"}
    mlflow.pyfunc.add_to_model(
        described,
        loader_module="embercast_loader",
        code="code",
        model_config=dict(config or {}) or None,
        **{KEY: {**told, **definition}},
    )
    described.save(str(into / "MLmodel"))
    return into


def as_stock(value: Any, of: pa.DataType) -> Any:
    """What stock ``spark_udf`` gives for a value: a null struct is one of nulls, a null list of nested values empty."""
    if pa.types.is_struct(of):
        return {one.name: as_stock((value or {}).get(one.name), one.type) for one in of}
    if pa.types.is_list(of):
        if value is None:
            return [] if pa.types.is_nested(of.value_type) else None
        return [as_stock(one, of.value_type) for one in value]
    return value
