"""What stock MLflow calls ``predict`` of: a loaded artifact. Runs on executors, servers and drivers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Lock
from typing import Any, Final

import pandas as pd
import pyarrow as pa

from engine.device import choose_device, choose_dtype, detect
from engine.errors import SchemaError
from engine.generation.choice import choose_backend
from engine.models.bundle import make_bundle
from engine.models.registry import Located, locate, read
from engine.moving import move
from engine.options import Column, Compute, Request
from engine.schema import TaskSchema, schema_of
from engine.tasks import task_class
from engine.tasks.params import parse_given, row_params
from udfs.pyfunc.arrow import arrow_columns, row_arrays
from udfs.pyfunc.artifact import Artifact
from udfs.pyfunc.cells import role_columns
from udfs.pyfunc.environment import device_of
from udfs.pyfunc.frames import frame_of, params_of
from udfs.pyfunc.given import check_roles, frame_of_given
from udfs.pyfunc.parameters import Parameters, parameters
from udfs.pyfunc.signature import BINARY, has_signature
from udfs.weights import LocalWeights, Weights
from udfs.worker import Descriptor, task_resources

#: A server calls from many threads, and a tokenizer belongs to one: each call scores a whole batch, alone.
_ALONE: Final = Lock()


@dataclass(frozen=True, kw_only=True)
class PyfuncModel:
    """A model that was logged here, ready to score.

    Args:
        task: of the table.
        parameters: those that it was logged and loaded with.
        compute: dtype, device and the like.
        weights: its bundle in this host's cache, which all workers map.
        backend: what writes its texts, where the task writes any.
        known_as: what it is called in answers that name it.
    """

    task: str
    parameters: Parameters
    compute: Compute
    weights: Weights
    backend: str | None
    known_as: str

    @property
    def schema(self) -> TaskSchema:
        """What it reads and gives."""
        return schema_of(self.task)

    def predict(self, data: Any, params: Mapping[str, Any] | None = None) -> pd.DataFrame | pa.StructArray:
        """Scores rows: a column for each field of the struct from pandas, the struct of each row from Arrow.

        Args:
            data: a DataFrame with a column for each input role, and one for each parameter that rows set themselves;
                a list of texts or other values of the main role, or one of them; a mapping, which is one request; or
                a ``pyarrow.Table`` or ``RecordBatch``, whose answer is a StructArray [rows] with null for null rows.
            params: the task's parameters for this call; null is as good as left out.

        A DataFrame's index stays. A null row is a row of nulls there, with empty lists in place of null ones and a
        struct of nulls in place of a null struct, as stock ``spark_udf`` needs it; ``error.code`` is null on success.

        Raises SchemaError for columns that are missing or of another type, ParameterError for parameters.
        """
        given = self.parameters.asked(params or {})
        if isinstance(data, pa.RecordBatch):
            data = pa.Table.from_batches([data])
        if isinstance(data, pa.Table):
            check_roles(data.column_names, self.schema)
            by_row = row_arrays(data, row_params(self.task))
            return self._score({**arrow_columns(data, self.schema), **by_row}, data.num_rows, given, tuple(by_row))
        frame = frame_of_given(data, self.schema)
        said = given.get("strings", "text") == "text"
        by_row = params_of(frame, row_params(self.task))
        columns = {**role_columns(frame, self.schema, said=said), **by_row}
        return frame_of(self._score(columns, len(frame), given, tuple(by_row))).set_axis(frame.index)

    def _score(
        self, columns: Mapping[str, pa.Array], rows: int, given: Mapping[str, Any], by_row: tuple[str, ...]
    ) -> pa.StructArray:
        """Arrow columns → the struct of each row [rows]. ``by_row`` names the columns that are parameters."""
        schema = self.schema
        if not rows:
            return pa.array([], schema.output)
        params = {**given, **{name: Column(name, default=given.get(name)) for name in by_row}}
        roles = {role.name: role.name for role in schema.inputs if role.name in columns}
        descriptor = Descriptor(
            self.task,
            Request(inputs=roles, params=params),
            self.compute,
            self.weights,
            backend=self.backend,
            known_as=self.known_as,
        )
        batch = pa.RecordBatch.from_arrays(list(columns.values()), names=list(columns))
        with _ALONE:
            scored = [window.result for window in descriptor.score([batch])]
        return pa.chunked_array(scored).combine_chunks()


def load_artifact(root: Path, model_config: Mapping[str, Any]) -> PyfuncModel:
    """What the loader in an artifact calls, of any release of its format: for stock MLflow's doors.

    Args:
        root: the folder that MLflow unpacked.
        model_config: as it was logged, with what the caller of MLflow's ``load_model`` changed.

    Raises ModelError, UnsafeModelError, ParameterError or DeviceError, and SchemaError for a task whose results are
    bytes, which stock ``spark_udf`` can't carry.
    """
    artifact = Artifact.read(root)
    if not has_signature(artifact.definition.task):
        raise SchemaError(BINARY.format(task=artifact.definition.task))
    return _loaded(artifact, model_config, {}, artifact.known_as)


def load(
    uri: str,
    *,
    params: Mapping[str, Any] | None = None,
    dtype: str | None = None,
    device: str | None = None,
    batch_tokens: int | str | None = None,
    backend: str | None = None,
) -> PyfuncModel:
    """A model that was logged here, for Arrow or pandas, without MLflow's own checks of the input between.

    Args:
        uri: models:/name@alias, models:/name/3, runs:/id/path or a local folder.
        params: the task's parameters, over those that it was logged with.
        dtype, device, batch_tokens, backend: as in a job's ``compute``; None takes what was logged.

    Its bundle is made in this host's cache where it is missing. Raises a ModelError, ParameterError or DeviceError.
    Runs where it is called.
    """
    found = locate(uri)
    artifact = Artifact.read(found.root)
    asked: dict[str, Any] = {"dtype": dtype, "device": device, "batch_tokens": batch_tokens, "backend": backend}
    definition = replace(artifact.definition, **{name: one for name, one in asked.items() if one is not None})
    fetched = not Path(found.pinned).is_absolute()
    known_as = found.pinned if fetched else artifact.known_as
    return _loaded(replace(artifact, definition=definition), {}, params or {}, known_as)


def _loaded(
    artifact: Artifact, model_config: Mapping[str, Any], params: Mapping[str, Any], known_as: str
) -> PyfuncModel:
    """The bundle is made in this host's cache where it is missing; ``params`` are the task's own."""
    definition = artifact.definition
    compute = Compute(
        dtype=definition.dtype,
        device=device_of(definition.device),
        batch_tokens=definition.batch_tokens,
        backend=definition.backend,
    )
    # A policy was asked where it was located.
    found = Located(uri=str(artifact.root), pinned=str(artifact.root), version=None, root=artifact.root)
    ref = read(found, task=definition.task)
    known = parameters(ref, artifact, model_config)
    values = {**known.values, **params}
    parse_given(ref.task, values)
    hardware = detect()
    cpus, addresses = task_resources()
    device = choose_device(compute.device, hardware, address=next(iter(addresses), None)).value
    if cpus is not None:  # a task's worker is reused; elsewhere models on other devices may be in use
        move((device,))
    half = task_class(ref.task).half
    dtype = choose_dtype(compute.dtype, hardware, device, logged=ref.dtype, half=half).value
    backend = choose_backend(compute.backend, hardware, device, task=ref.task)
    return PyfuncModel(
        task=ref.task,
        parameters=replace(known, values=values),
        compute=replace(compute, dtype=dtype),
        weights=LocalWeights(make_bundle(ref, dtype).path),
        backend=None if backend is None else backend.value,
        known_as=known_as,
    )
