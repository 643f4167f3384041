"""How long a recording is by its header, for estimates: nothing is decoded, and a header may say anything."""

from __future__ import annotations

from typing import Final

from engine.audio.container import opened
from engine.audio.recording import File, Recording, Sampled
from engine.audio.watched import Watched
from engine.errors import RowError

_MICROSECONDS: Final = 1_000_000


def header_seconds(recording: Recording) -> float | None:
    """Seconds by the header (of samples, by their number); None where none says it or the file can't be read.

    Reads a MiB or two of a file at most.
    """
    if isinstance(recording, Sampled):
        return len(recording.values) / recording.rate
    assert isinstance(recording, File)
    try:
        with recording.file() as file, opened(Watched(file)) as container:
            tracks = container.streams.audio
            if not tracks:
                return None
            if tracks[0].duration is not None:
                return float(tracks[0].duration * tracks[0].time_base)
            return None if container.duration is None else container.duration / _MICROSECONDS
    except RowError:
        return None
