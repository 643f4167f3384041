"""How many seconds of audio a trial hears, and how many the table may hold. Runs on the driver."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, Final

from engine.options import Column
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
    """How long the first recordings are.

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
    audio = resolved.inputs["audio"]
    found = measure(
        first,
        audio=audio,
        rate=resolved.inputs.get("sampling_rate"),
        params=_audio_params(resolved.model.params),
        storage=resolved.model.storage,
        budget=_budget(resolved),
        seconds=_SECONDS,
    ).toArrow()
    lengths = _lengths(found.column(_SECONDS).to_pylist())
    return found.filter(found.column(audio).is_valid()).drop_columns(_SECONDS), lengths


def shortened(resolved: Resolved) -> Resolved:
    """The same job, which hears no more of a recording than a trial should."""
    least = _budget(resolved).one_s
    asked = resolved.model.params.get("first_s")
    first_s = least if asked is None or isinstance(asked, Column) else min(asked, least)
    return replace(resolved, model=replace(resolved.model, params={**resolved.model.params, "first_s": first_s}))


def _lengths(seconds: Sequence[float | None]) -> Lengths:
    told = [length for length in seconds if length is not None]
    return Lengths(len(seconds), len(told), sum(told))


def _budget(resolved: Resolved) -> Budget:
    return _ON_CPU if resolved.model.device.value == "cpu" else _ON_GPU


def _audio_params(params: Any) -> Any:
    """The fixed parameters of these that say how a recording is read; where a column gives one, its default."""
    from engine.tasks.audio import AudioParams

    names = {field.name for field in fields(AudioParams)}
    given = {name: value for name, value in params.items() if name in names and not isinstance(value, Column)}
    fixed: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in given.items()}
    return AudioParams(**fixed)
