"""How long the first recordings of a table are, by their headers: looked at where they can be read, on an executor."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa

from engine.audio.storage import Storage
from engine.errors import RowError

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

#: What a recording counts for whose header does not tell its length: a window of Whisper's.
UNKNOWN_S: Final = 30.0

Lengths = Callable[[pa.Array, pa.Array | None], list[float | None]]
Mapper = Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]


@dataclass(frozen=True, kw_only=True)
class Budget:
    """How much of the first recordings is kept.

    Args:
        total_s: seconds; the recording that passes them is the last one kept.
        one_s: seconds that one recording counts for at most.
        nbytes: that are kept at most, for a trial sends them twice in one task, of which Spark takes 128 MiB
            (spark.rpc.message.maxSize); a larger recording is not kept.
    """

    total_s: float
    one_s: float
    nbytes: int = 48 << 20

    def costs(self, lengths: Sequence[float | None]) -> list[float]:
        """What each recording takes of it, in seconds."""
        return [min(UNKNOWN_S if length is None else length, self.one_s) for length in lengths]


def measure(
    df: DataFrame, *, audio: str, rate: str | None, params: Any, storage: Storage, budget: Budget, seconds: str
) -> DataFrame:
    """All columns of ``df`` and the length of each row's recording, in one partition; no recording is decoded.

    Args:
        df: few rows, in which ``audio`` is not null.
        audio: the column of recordings, which is null in the result where the budget keeps none.
        rate: the column of sampling rates, None where there is none.
        params: an ``AudioParams``.
        storage: how object stores are reached.
        budget: what is kept.
        seconds: name of the added column (double): null where a header does not tell, or can't be read.
    """
    from pyspark.sql.types import DoubleType, StructField, StructType

    fields = [StructField(field.name, field.dataType) for field in df.schema.fields]
    schema = StructType([*fields, StructField(seconds, DoubleType())])
    at = (df.columns.index(audio), None if rate is None else df.columns.index(rate))
    by_position = df.coalesce(1).toDF(*map(str, range(len(df.columns))))  # a name may hold a dot
    return by_position.mapInArrow(_mapper(at, partial(_lengths, params=params, storage=storage), budget), schema)


def _mapper(at: tuple[int, int | None], lengths_of: Lengths, budget: Budget) -> Mapper:
    audio, rate = at

    def measured(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        spent, held = 0.0, 0
        for batch in batches:
            recordings = batch.column(audio)
            lengths = lengths_of(recordings, None if rate is None else batch.column(rate))
            kept: list[int | None] = []
            for i, cost in enumerate(budget.costs(lengths)):
                nbytes = recordings.slice(i, 1).nbytes
                fits = spent < budget.total_s and held + nbytes <= budget.nbytes
                kept.append(i if fits else None)
                spent, held = spent + cost, held + nbytes * fits
            columns = [*batch.columns, pa.array(lengths, pa.float64())]
            columns[audio] = recordings.take(pa.array(kept, pa.int64()))
            yield pa.RecordBatch.from_arrays(columns, names=[str(i) for i in range(len(columns))])

    return measured


def _lengths(column: pa.Array, rates: pa.Array | None, params: Any, storage: Storage) -> list[float | None]:
    from engine.audio.cells import recordings
    from engine.audio.header import header_seconds

    rows = recordings(column, rates, params, storage)
    told = [None if isinstance(row, RowError) else header_seconds(row) for row in rows]
    # What says more than may be heard is an error of its row, or a lie.
    return [one if one is not None and 0 <= one <= params.max_duration_s else None for one in told]
