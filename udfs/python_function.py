"""MLflow's python_function flavor: what an artifact reads, and its own code run on a batch.

The artifact's code runs here, wherever these functions run: callers ask for the definition's word first
(``engine.models.artifact``).
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from engine.errors import ModelError, ParameterError, RowError, SchemaError
from engine.schema import Input

#: The role of a model whose signature names no column.
ROLE: Final = "input"
_TYPES: Final[Mapping[str, pa.DataType]] = {
    "string": pa.string(),
    "boolean": pa.bool_(),
    "integer": pa.int32(),
    "long": pa.int64(),
    "float": pa.float32(),
    "double": pa.float64(),
    "binary": pa.binary(),
}


def inputs_of(folder: Path) -> tuple[Input, ...]:
    """An input role for each column of the signature; one role ``input`` where it names none, or there is none.

    Runs no code of the artifact. Raises SchemaError for tensors and nested columns.
    """
    schema = _metadata(folder).get_input_schema()
    if schema is None:
        return (Input(ROLE, pa.string()),)
    if schema.is_tensor_spec():
        raise SchemaError("expected columns in the model's signature, it has tensors: log it with a column signature")
    if not schema.has_input_names():
        return (Input(ROLE, _type(ROLE, schema.inputs[0].type)),)
    return tuple(Input(one.name, _type(one.name, one.type), required=one.required) for one in schema.inputs)


def example_of(folder: Path, inputs: tuple[Input, ...]) -> Mapping[str, pa.Array] | None:
    """The input example that the model was logged with, by role; None where there is none or it has other columns."""
    import pandas as pd

    metadata = _metadata(folder)
    example = metadata.load_input_example(str(folder)) if metadata.saved_input_example_info else None
    if example is None:
        return None
    frame = example if isinstance(example, pd.DataFrame) else pd.DataFrame({ROLE: _listed(example)})
    if len(inputs) == 1:
        frame = frame.iloc[:, :1].set_axis([inputs[0].name], axis=1)
    if not {role.name for role in inputs if role.required} <= set(frame.columns):
        return None
    taken = [role for role in inputs if role.name in frame.columns]
    return {role.name: pa.Array.from_pandas(frame[role.name], type=role.type) for role in taken}


def check_params(folder: Path, names: Sequence[str]) -> None:
    """Raises ParameterError for a parameter that the signature does not have: MLflow would drop it."""
    schema = _metadata(folder).get_params_schema()
    known = [one.name for one in schema] if schema is not None else []
    unknown = [name for name in names if name not in known]
    if unknown:
        raise ParameterError(
            f"expected parameters of the model's signature ({', '.join(known) or 'it has none'}), "
            f"got {', '.join(unknown)}: log the model with a signature that names them"
        )


def predictor(folder: Path) -> Any:
    """``engine.tasks.foreign.Predict`` over ``predict`` of the model: a DataFrame a batch, a column a role.

    Raises ModelError where the model can't be loaded here.
    """
    model = _load(folder)

    def predict(columns: Mapping[str, pa.Array], call: Mapping[str, Any]) -> Sequence[Any]:
        import pandas as pd

        frame = pd.DataFrame({role: column.to_pandas(integer_object_nulls=True) for role, column in columns.items()})
        return rows_of(model.predict(frame, params=dict(call) or None), len(frame))

    return predict


def rows_of(found: Any, rows: int) -> list[Any]:
    """What ``predict`` returned → a value a row: of a frame or mapping of columns a mapping, else the value itself.

    A missing value of a frame or series (None, NaN, NaT) is None, as pandas has no other for numbers. Raises RowError
    where there is not one value for each row.
    """
    import pandas as pd

    if isinstance(found, Mapping):
        columns = {str(name): list(column) for name, column in found.items() if _is_listed(column)}
        if len(columns) == len(found) > 0 and {len(column) for column in columns.values()} == {rows}:
            return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
        found = None
    if isinstance(found, pd.DataFrame):
        names = [str(name) for name in found.columns]
        columns = {name: _known(found.iloc[:, at]) for at, name in enumerate(names)}
        found = [dict(zip(names, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    elif isinstance(found, pd.Series):
        found = _known(found)
    if not _is_listed(found) or len(found) != rows:
        raise RowError(
            "schema_mismatch", "expected predict to return a frame, series, array or list with a value for each row"
        )
    return list(found)


def _known(column: Any) -> list[Any]:
    return [value if known else None for value, known in zip(column.tolist(), column.notna(), strict=True)]


def _is_listed(value: Any) -> bool:
    return isinstance(value, list | tuple) or (hasattr(value, "tolist") and hasattr(value, "__len__"))


def _listed(example: Any) -> list[Any]:
    return list(example) if _is_listed(example) else [example]


@lru_cache(maxsize=1)
def _load(folder: Path) -> Any:
    """One model a process: modules that two artifacts both call ``helper`` are the first one's for both in MLflow."""
    import mlflow

    _forget_others(folder)
    write, sys.dont_write_bytecode = sys.dont_write_bytecode, True  # the bundle's folder stays as it was verified
    try:
        return mlflow.pyfunc.load_model(str(folder), suppress_warnings=True)
    except Exception as error:
        raise ModelError(
            f"expected a PyFunc that loads here, {type(error).__name__} was raised: {error}. "
            "Install what it was logged with on the driver and on every executor"
        ) from error
    finally:
        sys.dont_write_bytecode = write


def _forget_others(folder: Path) -> None:
    home = str(folder.parent) + "/"

    def is_other(place: str | None) -> bool:
        return place is not None and place.startswith(home) and not place.startswith(f"{folder}/")

    for name, module in list(sys.modules.items()):
        if is_other(getattr(module, "__file__", None)):
            del sys.modules[name]
    sys.path[:] = [place for place in sys.path if not is_other(place)]


def _metadata(folder: Path) -> Any:
    from mlflow.models import Model

    return Model.load(str(folder))


def _type(name: str, found: Any) -> pa.DataType:
    of = getattr(found, "dtype", None) if type(found).__name__ == "Array" else None
    kind = _TYPES.get(getattr(of or found, "name", ""))
    if kind is None:
        raise SchemaError(
            f"expected texts, numbers, truth values, bytes or lists of them in the signature, {name} is {found}: "
            "log the model with such a signature"
        )
    return pa.list_(pa.field("element", kind)) if of is not None else kind
