"""What a task is: three phases between Arrow columns and a struct, of which only ``forward`` touches the device."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from engine.audio.storage import Storage
from engine.batching import Failures, Index
from engine.models.manifest import Manifest
from engine.schema import TaskSchema, schema_of


@dataclass
class Encoded:
    """Rows made ready for the device.

    A row becomes one item (a sequence) or several. Items are what is sorted, batched and sent through the model.

    Args:
        rows: how many rows were encoded.
        lengths: int32 [items], tokens of each item.
        owner: int64 [items], the row each item belongs to.
        data: what the task's own ``forward`` and ``decode`` read.
        failures: rows that can't be scored, with the reason.
        cost: int64 [items], tokens of a micro-batch's budget that each item takes, where they are not its length.
        written: int64 [items], tokens of the texts that ``forward`` wrote for each item, which fills it; None where it
            writes none.
        seconds: float64 [items], of audio that ``forward`` heard of each item, which fills it; None without audio.
    """

    rows: int
    lengths: npt.NDArray[np.int32]
    owner: Index
    data: Any
    failures: Failures = field(default_factory=dict)
    cost: Index | None = None
    seconds: npt.NDArray[np.float64] | None = None
    written: Index | None = None

    @property
    def costs(self) -> npt.NDArray[np.integer[Any]]:
        """Of each item, what it takes of a micro-batch's budget."""
        return self.lengths if self.cost is None else self.cost

    @property
    def at_once(self) -> bool:
        """Whether ``forward`` takes all items of a window together, and pads none: no item takes of the budget."""
        return self.cost is not None and not self.cost.any()

    @property
    def sound(self) -> Index:
        """int64 [items that go through the model]: those of rows without a failure."""
        return np.flatnonzero(~np.isin(self.owner, list(self.failures)))


class Task(ABC):
    """One task of one loaded model. Lives in a worker; every method runs on the executor.

    ``encode`` runs in a thread beside ``forward`` and must not touch the device; it may raise ``RowError`` or anything
    else for a batch with a bad row: the batch is split until the row stands alone.
    """

    name: ClassVar[str]
    #: Frozen dataclass of the task's parameters with their defaults.
    Params: ClassVar[type]
    #: Name of the transformers auto class that loads the model, or of several: the first that knows its configuration.
    auto_class: ClassVar[str | tuple[str, ...]]
    #: What goes with its model, of: tokenizer, features (transformers' feature extractor of a model of audio), vocoder
    #: (where the model's folder has one).
    needs: ClassVar[tuple[str, ...]] = ("tokenizer",)
    #: Ending of a checkpoint's architecture that has this task, or several; empty where any will do.
    architecture: ClassVar[str | tuple[str, ...]] = ""
    #: Modules whose output the task does not read: a checkpoint may lack their weights.
    unused: ClassVar[tuple[str, ...]] = ()
    #: Parameters that have to be given: they have no sensible default.
    required: ClassVar[tuple[str, ...]] = ()
    #: Parameters that ``encode`` reads row by row where a column gives them: their column comes with the inputs, under
    #: the parameter's name. Rows that differ in other parameters are encoded and computed apart.
    by_row: ClassVar[tuple[str, ...]] = ()
    #: Parameters that no column may give: they say what a job may do, which is not a row's to decide.
    fixed: ClassVar[tuple[str, ...]] = ()
    #: Whether ``dtype: auto`` may be half precision: not where its rounding is plain in the answers.
    half: ClassVar[bool] = True
    #: Rows of a window at most, whatever the job allows, where answers are far larger than inputs; None for no limit.
    window_rows: ClassVar[int | None] = None
    #: The same in bytes of its inputs.
    window_bytes: ClassVar[int | None] = None
    #: What may write its texts (``engine.generation.choice``); empty for a task that does not write through a backend.
    backends: ClassVar[tuple[str, ...]] = ()
    #: Whether it runs with a model whose layers lie on several devices: it calls the model as a whole, and reads no
    #: weights itself.
    spreads: ClassVar[bool] = False
    #: Whether any parameter is taken and handed to the model: ``Params`` has one field, ``call``, that holds them.
    open_params: ClassVar[bool] = False
    #: What the loaded model's bundle says of itself; None for a task without a bundle.
    manifest: Manifest | None = None
    #: How object stores that rows name are reached; the worker sets what the driver knows.
    storage: Storage = Storage()
    #: What the model is called in answers that name it; the worker sets what the driver knows.
    known_as: str = ""

    @property
    def schema(self) -> TaskSchema:
        """What it reads and gives: as the table says, or for a task outside it what was pinned on the driver."""
        return schema_of(self.name)

    @classmethod  # noqa: B027 - most tasks have nothing to refuse
    def check(cls, params: Any, manifest: Manifest) -> None:
        """Raises ParameterError where this model can't take these parameters.

        Runs on the driver for fixed parameters, on the executor for those of a column.
        """

    def ready(self, params: Any) -> None:  # noqa: B027 - most tasks are
        """Raises ModelError where the loaded model lacks what these parameters need of it. Runs on the driver."""

    @classmethod
    def draws(cls, params: Mapping[str, Any], bundle: Path) -> bool:
        """Whether answers depend on chance, so that a row's ``seed`` counts. Runs on the driver.

        Args:
            params: as given; a value may be a ``Column``.
            bundle: the model's folder.
        """
        return False

    @abstractmethod
    def encode(self, inputs: Mapping[str, pa.Array], params: Any) -> Encoded:
        """Arrow columns by input role (the main role without nulls) → items. On the CPU."""

    @abstractmethod
    def forward(self, encoded: Encoded, items: Index) -> Sequence[Any] | npt.NDArray[Any]:
        """One micro-batch of items → a value for each, on the CPU: an array [items, …] or a list."""

    @abstractmethod
    def decode(self, encoded: Encoded, rows: Index, outputs: Any, params: Any) -> pa.StructArray:
        """The values of all items of ``rows``, in item order → for each row the struct without ``error``."""
