"""What scored a job's rows: when it changes, the definition's ``on_change`` says what happens. Runs on the driver."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import engine
from jobs.references import mask

if TYPE_CHECKING:
    from udfs.scoring import PreparedModel


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """Of the rows of one epoch; no part of a job's identity.

    Args:
        model: as it is pinned.
        weights: the bundle's digest; of a folder it tells whether the model in it is another.
        task: what it scores.
        params: sha256 of the parameters, those that were logged with the model included.
        dtype: of the weights.
        release: of the engine.
    """

    model: str
    weights: str
    task: str
    params: str
    dtype: str
    release: str

    @classmethod
    def of(cls, model: PreparedModel) -> Provenance:
        """Of what would score now."""
        params = {name: repr(value) for name, value in sorted(model.params.items())}
        return cls(
            model=mask(model.ref.pinned),
            weights=model.bundle.digest,
            task=model.task,
            params=hashlib.sha256(json.dumps(params).encode()).hexdigest(),
            dtype=model.dtype.value,
            release=engine.__version__,
        )

    @classmethod
    def read(cls, told: Mapping[str, Any]) -> Provenance:
        """As ``to_dict`` wrote it."""
        return cls(**told)

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)

    def changes(self, before: Provenance) -> Iterator[str]:
        """What is another than before, a sentence each."""
        if self.model != before.model or self.task != before.task:
            yield f"the model was {before.model} ({before.task}) and is {self.model} ({self.task})"
        if self.dtype != before.dtype:
            yield f"the dtype was {before.dtype} and is {self.dtype}"
        if self.params != before.params:
            yield "the parameters are others"
        if self.release != before.release:
            yield f"the engine was {before.release} and is {self.release}"
        alike = (self.model, self.dtype, self.release) == (before.model, before.dtype, before.release)
        if alike and self.weights != before.weights:
            yield f"the weights of {self.model} are others, or transformers is"
