"""The features of a clip, of which a segment is cut: in memory, or spooled to a temporary file."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from tempfile import TemporaryFile
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from engine.audio.stream import Samples
from engine.errors import RowError
from engine.speech.features import LogMel, Mels, levels, scaled


class Sound(ABC):
    """Features of a stretch of one recording.

    Args:
        levels: float32 [frames], how loud each frame is: the logarithm (10) of its power.
        window: frames of a segment.
    """

    def __init__(self, levels: npt.NDArray[np.float32], window: int) -> None:
        self.levels = levels
        self.window = window

    @property
    def frames(self) -> int:
        """How many there are, without those of the silence behind the recording."""
        return self.levels.size

    def loudness(self, at: int) -> npt.NDArray[np.float32]:
        """Levels of the segment that begins at frame ``at``."""
        return self.levels[at : at + self.window]

    def cut(self, at: int) -> Mels:
        """The segment that begins at frame ``at``: features float32 [mels, window], zeros behind the end."""
        found = self._cut(at)
        return np.pad(found, ((0, 0), (0, self.window - found.shape[1])))

    @abstractmethod
    def _cut(self, at: int) -> Mels: ...

    def close(self) -> None:
        """Gives back what it holds: a clip outlives its features until its recording is told."""
        self.levels = np.zeros(0, np.float32)


class Held(Sound):
    """A stretch of at most a segment, in memory: silence follows behind it up to a segment's length."""

    def __init__(self, samples: Samples, mel: LogMel) -> None:
        power = mel.segment(samples)
        super().__init__(levels(power)[: -(-samples.size // mel.hop)], mel.frames)
        self._features = scaled(power, float(power.max()))

    def _cut(self, at: int) -> Mels:
        return self._features[:, at : at + self.window]

    def close(self) -> None:
        super().close()
        self._features = np.zeros((0, 0), np.float32)


class Spooled(Sound):
    """A long recording, in a temporary file of 4 bytes a number (115 MB an hour of 80 bands), gone when closed.

    Its loudest frame, which decides what is cut off as too quiet, is known at its end only. The file lies where Python
    keeps such (``TMPDIR``) and has no name on Linux: nothing is left of it when the process is killed. Raises
    RowError(out_of_memory) where there is no room for it.
    """

    def __init__(self, samples: Iterable[Samples], mel: LogMel) -> None:
        with _room():
            self._file: IO[bytes] = TemporaryFile(prefix="embercast-")  # noqa: SIM115 - closed by close
        self._mels = mel.mels
        try:
            written = [self._write(power) for power in mel.blocks(samples)]
        except BaseException:
            with suppress(OSError):  # what is not yet written has no room either
                self._file.close()
            raise
        super().__init__(np.concatenate([loud for loud, _ in written]), mel.frames)
        self._loudest = max(loudest for _, loudest in written)

    def _write(self, power: Mels) -> tuple[npt.NDArray[np.float32], float]:
        with _room():
            self._file.write(np.ascontiguousarray(power.T).tobytes())
            self._file.flush()
        return levels(power), float(power.max())

    def _cut(self, at: int) -> Mels:
        frame = 4 * self._mels
        self._file.seek(at * frame)
        read: Any = np.frombuffer(self._file.read(self.window * frame), np.float32)
        return scaled(read.reshape(-1, self._mels).T, self._loudest)

    def close(self) -> None:
        super().close()
        self._file.close()


@contextmanager
def _room() -> Iterator[None]:
    """Where the temporary folder has no room for features, that is said, and not that the recording is none."""
    try:
        yield
    except OSError as error:
        raise RowError(
            "out_of_memory",
            f"expected room for the features of a long recording in the temporary folder ({error.strerror}): let "
            "TMPDIR name a larger one, lower batch_windows, or take long_form=fast, which needs none",
        ) from None
