"""What tasks on recordings share: cells to recordings, recordings to pieces that threads make beside the device."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
import pyarrow as pa

from engine.audio.cells import recordings
from engine.audio.feed import Piece, feed
from engine.audio.first import first
from engine.audio.limits import Limits
from engine.audio.recording import Recording
from engine.audio.roots import roots_of
from engine.audio.stream import Stream
from engine.batching import Failures, Index
from engine.errors import ParameterError, RowError
from engine.models.load import LoadedModel
from engine.models.manifest import Manifest
from engine.tasks.base import Encoded, Task


@dataclass(frozen=True, kw_only=True)
class AudioParams:
    """Parameters of every task on recordings.

    Args:
        strings: what a column of strings holds: path (or URI) or base64.
        roots: folders and URIs (s3a://bucket/calls) below which paths may be read; none where empty. A
            relative folder is taken from where the driver runs; a relative path of a row from the root, where there is
            one.
        channel: the channel to hear, from 0; null mixes all.
        max_duration_s: seconds of a recording at most; a longer one is an error of its row.
        max_bytes: encoded bytes of a recording in a column at most.
        max_decoded_bytes: bytes of a recording's samples at most, in all channels and as float32.
        first_s: seconds of each recording to hear, from its start; null hears all. What follows is no error.
        batch_windows: windows of audio that the device computes at once, or as many seconds of shorter ones; null
            chooses by the device.
    """

    strings: Literal["path", "base64"] = "path"
    roots: tuple[str, ...] = ()
    channel: int | None = None
    max_duration_s: float = 14_400.0
    max_bytes: int = 64 << 20
    max_decoded_bytes: int = 16 << 30
    first_s: float | None = None
    batch_windows: int | None = None

    def __post_init__(self) -> None:
        for name, least in (("channel", 0), ("max_bytes", 1), ("max_decoded_bytes", 1), ("batch_windows", 1)):
            value = getattr(self, name)
            if value is not None and value < least:
                raise ParameterError(f"expected {name} of at least {least}, got {value}")
        if self.first_s is not None and not self.first_s > 0:
            raise ParameterError(f"expected first_s above 0, got {self.first_s}")
        if not self.max_duration_s > 0:
            raise ParameterError(f"expected max_duration_s above 0, got {self.max_duration_s}")
        roots_of(self.roots)

    @property
    def limits(self) -> Limits:
        """The bounds of one recording."""
        return Limits(self.max_duration_s, self.max_bytes, self.max_decoded_bytes)


@dataclass(frozen=True)
class Recordings:
    """What ``forward`` and ``decode`` of a task on recordings read: one a row, and the parameters of all of them."""

    rows: list[Recording | RowError]
    params: Any


class AudioTask(Task):
    """A task whose row is a recording. ``Params`` is an ``AudioParams``.

    An item is a whole recording, which ``forward`` reads piece by piece: all recordings of a window come at once, so
    that pieces of many share a batch, and no more of them is decoded than the device is about to need.
    """

    needs: ClassVar[tuple[str, ...]] = ("features",)
    fixed: ClassVar[tuple[str, ...]] = ("roots", "max_duration_s", "max_bytes", "max_decoded_bytes")
    manifest: Manifest

    def __init__(self, loaded: LoadedModel) -> None:
        self.loaded = loaded
        self.model = loaded.model
        self.tokenizer = loaded.tokenizer
        self.features = loaded.features
        self.manifest = loaded.manifest
        self.device = loaded.device

    @property
    def rate(self) -> int:
        """Samples a second that the model hears."""
        return int(self.features.sampling_rate)

    def encode(self, inputs: Mapping[str, pa.Array], params: Any) -> Encoded:
        rows = recordings(inputs["audio"], inputs.get("sampling_rate"), params, self.storage)
        failures: Failures = {i: one for i, one in enumerate(rows) if isinstance(one, RowError)}
        return Encoded(
            rows=len(rows),
            lengths=np.zeros(len(rows), np.int32),
            owner=np.arange(len(rows)),
            data=Recordings(rows, params),
            failures=failures,
            seconds=np.zeros(len(rows)),
        )

    @contextmanager
    def pieces(
        self,
        encoded: Encoded,
        items: Index,
        cut: Callable[[Stream], Iterable[Any]],
        *,
        ahead: int,
        weight: Callable[[Any], int] = lambda value: 1,
    ) -> Iterator[Iterator[Piece]]:
        """The pieces that ``cut`` makes of these items' streams, in reader threads; ``ahead`` of them wait at most.

        ``weight`` says of how many pieces one takes the place while it waits.
        When a recording has ended, its seconds stand in ``encoded.seconds``.
        """
        data: Recordings = encoded.data

        def read(item: int) -> Iterator[Any]:
            recording = data.rows[item]
            assert isinstance(recording, Recording)
            with recording.open(self.rate, data.params.channel, data.params.limits) as whole:
                first_s = data.params.first_s
                stream = whole if first_s is None else first(whole, first_s)
                yield from cut(stream)
                assert encoded.seconds is not None
                encoded.seconds[item] = stream.seconds

        with feed(items.tolist(), read, threads=readers(self.device, items.size), ahead=ahead, weight=weight) as fed:
            yield fed


def readers(device: str, recordings: int) -> int:
    """Threads that read so many recordings: on a CPU, which they share with the model, two; else one a core."""
    import torch

    return max(1, min(recordings, 2 if device == "cpu" else max(2, torch.get_num_threads())))
