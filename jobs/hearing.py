"""How many seconds of audio a trial hears, and how many the table may hold. Runs on the driver."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from engine.options import Column
from engine.tasks.params import parse_params
from udfs.lengths import Budget, measure

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame

    from jobs.resolved import Resolved

#: Seconds of audio in a trial: of recordings of 30 s, half a batch on a CPU and on a GPU; of short ones, a whole one.
_ON_CPU: Final = Budget(total_s=120.0, one_s=60.0)
_ON_GPU: Final = Budget(total_s=960.0, one_s=240.0)
_SECONDS: Final = "__embercast_seconds"


@dataclass(frozen=True)
class Lengths:
    """How long the first recordings are, of what a run would hear of them.

    Args:
        looked: recordings whose headers were looked at.
        told: of these, those whose header tells a length.
        seconds: of these together.
    """

    looked: int
    told: int
    seconds: float

    def of(self, rows: int) -> float | None:
        """Seconds of audio in so many rows like these, an estimate; None where no header tells."""
        return rows * self.seconds / self.told if self.told else None


def heard(first: DataFrame, resolved: Resolved) -> tuple[pa.Table, Lengths]:
    """Of these rows, those that a trial hears, and the lengths of all; headers are read on an executor.

    Args:
        first: rows with recordings, as few as a driver may hold the keys of.
        resolved: the job.
    """
    audio, budget = resolved.inputs["audio"], _budget(resolved)
    params = parse_params(resolved.model.task, resolved.model.params)
    most = _most(params)
    found = measure(
        first,
        audio=audio,
        rate=resolved.inputs.get("sampling_rate"),
        params=params,
        storage=resolved.model.storage,
        budget=replace(budget, one_s=min(budget.one_s, most)),
        seconds=_SECONDS,
    ).toArrow()
    lengths = _lengths(found.column(_SECONDS).to_pylist(), most)
    return found.filter(found.column(audio).is_valid()).drop_columns(_SECONDS), lengths


def shortened(resolved: Resolved) -> Resolved:
    """The same job, which hears no more of a recording than a trial should."""
    least = _budget(resolved).one_s
    asked = resolved.model.params.get("first_s")
    first_s = least if asked is None or isinstance(asked, Column) else min(asked, least)
    return replace(resolved, model=replace(resolved.model, params={**resolved.model.params, "first_s": first_s}))


def _most(params: Any) -> float:
    """Seconds that are heard of a recording at most; where a column says it, as its default does."""
    return min(params.first_s or float("inf"), getattr(params, "max_length_s", float("inf")))


def _lengths(seconds: Sequence[float | None], most: float) -> Lengths:
    told = [min(length, most) for length in seconds if length is not None]
    return Lengths(len(seconds), len(told), sum(told))


def _budget(resolved: Resolved) -> Budget:
    return _ON_CPU if resolved.model.device.value == "cpu" else _ON_GPU
