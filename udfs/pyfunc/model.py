"""What stock MLflow calls ``predict`` of: a loaded artifact. Runs on executors, servers and drivers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from engine.device import choose_device, choose_dtype, detect
from engine.generation.choice import choose_backend
from engine.models.bundle import make_bundle
from engine.models.registry import Located, locate, read
from engine.options import Column, Compute, Request
from engine.schema import TaskSchema, schema_of
from engine.tasks import task_class
from udfs.logged import over_logged
from udfs.pyfunc.definition import Definition
from udfs.pyfunc.frames import frame_of, inputs_of, params_of
from udfs.pyfunc.signature import row_params
from udfs.weights import LocalWeights, Weights
from udfs.worker import Descriptor


@dataclass(frozen=True, kw_only=True)
class PyfuncModel:
    """A model that was logged here, ready to score.

    Args:
        task: of the table.
        params: those that it was logged with, under those that it was loaded with.
        compute: dtype, device and the like.
        weights: its bundle in this host's cache, which all workers map.
        backend: what writes its texts, where the task writes any.
        known_as: what it is called in answers that name it.
    """

    task: str
    params: Mapping[str, Any]
    compute: Compute
    weights: Weights
    backend: str | None
    known_as: str

    @property
    def schema(self) -> TaskSchema:
        """What it reads and gives."""
        return schema_of(self.task)

    def predict(self, data: pd.DataFrame, params: Mapping[str, Any] | None = None) -> pd.DataFrame:
        """The struct of each row, a column for each of its fields; MLflow has seen that ``data`` fits the signature."""
        by_row = params_of(data, row_params(self.task))
        columns = {**inputs_of(data, self.schema), **by_row}
        return frame_of(self.score(columns, len(data), params or {}, tuple(by_row)))

    def score(
        self, columns: Mapping[str, pa.Array], rows: int, params: Mapping[str, Any], by_row: tuple[str, ...] = ()
    ) -> pa.StructArray:
        """Arrow columns → the struct of each row [rows]. ``by_row`` names the columns that are parameters."""
        schema = self.schema
        if not rows:
            return pa.array([], schema.output)
        given = {**self.params, **{name: value for name, value in params.items() if value is not None}}
        given |= {name: Column(name, default=given.get(name)) for name in by_row}
        roles = {role.name: role.name for role in schema.inputs if role.name in columns}
        request = Request(inputs=roles, params=given)
        descriptor = Descriptor(
            self.task, request, self.compute, self.weights, backend=self.backend, known_as=self.known_as
        )
        batch = pa.RecordBatch.from_arrays(list(columns.values()), names=list(columns))
        return pa.chunked_array([scored.result for scored in descriptor.score([batch])]).combine_chunks()


def load_artifact(root: Path, model_config: Mapping[str, Any]) -> PyfuncModel:
    """The artifact at ``root``, its bundle made in this host's cache where it is missing.

    Args:
        root: the folder that MLflow unpacked.
        model_config: as it was logged, with what the caller of MLflow's ``load_model`` changed.

    Raises ModelError, UnsafeModelError, ParameterError or DeviceError.
    """
    definition = Definition.read(root)
    found = Located(uri=str(root), pinned=str(root), version=None, root=root)  # a policy was asked where it was located
    ref = read(found, task=definition.task)
    hardware = detect()
    device = choose_device(definition.device, hardware).value
    half = task_class(ref.task).half
    dtype = choose_dtype(definition.dtype, hardware, device, logged=ref.dtype, half=half).value
    backend = choose_backend(definition.backend, hardware, device, task=ref.task)
    return PyfuncModel(
        task=ref.task,
        params=over_logged(ref, {}),
        compute=Compute(dtype=dtype, device=device, batch_tokens=definition.batch_tokens, backend=definition.backend),
        weights=LocalWeights(make_bundle(ref, dtype).path),
        backend=None if backend is None else backend.value,
        known_as=ref.known_as,
    )


def load(uri: str) -> PyfuncModel:
    """A model that was logged here, for Arrow or pandas, without MLflow's own checks of the input between.

    Args:
        uri: models:/name@alias, models:/name/3, runs:/id/path or a local folder.

    Raises a ModelError. Runs where it is called.
    """
    return load_artifact(locate(uri).root, {})
