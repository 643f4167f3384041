"""What a worker would refuse, found on the driver: the task is made of the bundle and given one short row.

A model that a task can't run, and parameters that this model does not take (more tokens than it has positions, a
language it does not know), are errors before any row is read instead of an error of every row.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa

from engine.batching import isolate
from engine.errors import ParameterError
from engine.models import cache
from engine.models.bundle import Bundle
from engine.models.load import load
from engine.options import Column
from engine.schema import Input, schema_of
from engine.tasks import task_class
from engine.tasks.params import parse_params

_TEXT: Final = "a"
#: Roles whose value is read as JSON, or may be.
_JSON: Final = {"table": {_TEXT: [_TEXT]}, "messages": [{"role": "user", "content": _TEXT}]}


def check(task: str, bundle: Bundle, params: Mapping[str, Any], *, root: Path | None = None) -> None:
    """Raises what a worker would for this model and these parameters; what passed once is remembered.

    Runs on the driver, on the CPU, over the bundle's own mapping: weights are not read.

    Args:
        task: of the table.
        bundle: its model.
        params: as given; those of a column are left to their rows.
        root: the cache folder; None takes ``cache_root()``.

    Raises ModelError or UnsupportedTaskError for a model that the task can't run, ParameterError for parameters.
    """
    passed = (root or cache.cache_root()) / "known" / f"{_name(task, bundle, params)}.checked"
    if passed.exists():
        return
    made = task_class(task)(load(bundle.path, "cpu"))
    parsed = parse_params(task, params)
    made.check(parsed, bundle.manifest)
    made.ready(parsed)
    if not any(isinstance(params.get(name), Column) for name in made.required):
        row = {role.name: _one(role) for role in schema_of(task).inputs if role.required}
        done, failures = isolate(lambda _: made.encode(row, parsed), np.zeros(1, np.int64), code="encode_failed")
        for error in [*failures.values(), *(one for _, encoded in done for one in encoded.failures.values())]:
            if error.code == "invalid_parameter":
                raise ParameterError(error.message)
    passed.parent.mkdir(mode=0o700, exist_ok=True)
    cache.write_atomically(passed, "")


def _one(role: Input) -> pa.Array:
    text = json.dumps(_JSON[role.name]) if role.nested else _TEXT
    return pa.array([[text] if pa.types.is_list(role.type) else text], role.type)


def _name(task: str, bundle: Bundle, params: Mapping[str, Any]) -> str:
    import engine

    said = [engine.__version__, task, bundle.digest, {name: repr(value) for name, value in params.items()}]
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()
