"""A fake task on recordings: it tests what lies between a cell and a stream without a model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np
import pyarrow as pa

from engine.audio.stream import Stream
from engine.batching import Index
from engine.errors import RowError
from engine.speech.transcript import Transcript, structs
from engine.tasks.audio import AudioTask
from engine.tasks.base import Encoded
from engine.tasks.speech_recognition import SpeechRecognitionParams

#: Seconds that it reads at once.
PIECE_S: Final = 5


class FakeHearing(AudioTask):
    """Hears how loud a recording is: the root of the mean square stands as its no-speech probability."""

    name = "automatic-speech-recognition"
    Params = SpeechRecognitionParams
    auto_class = ""
    rate = 16_000  # type: ignore[assignment]
    manifest = None  # type: ignore[assignment]

    def __init__(self, *, half: bool = False) -> None:
        self.device = "cpu"
        self.half = half

    def forward(self, encoded: Encoded, items: Index) -> Sequence[Any]:
        sums = {item: np.zeros(2) for item in items.tolist()}
        errors: dict[int, RowError] = {}
        with self.pieces(encoded, items, self._cut, ahead=4) as pieces:
            for piece in pieces:
                if piece.error is not None:
                    errors[piece.item] = piece.error
                elif piece.value is not None:
                    sums[piece.item] += piece.value
        return [errors.get(item) or tuple(total) for item, total in sums.items()]

    def _cut(self, stream: Stream) -> Iterator[Any]:
        while (samples := stream.read(PIECE_S * self.rate)).size:
            yield np.array([samples.size, float(np.square(samples.astype(np.float64)).sum())])

    def decode(self, encoded: Encoded, rows: Index, outputs: Any, params: Any) -> pa.StructArray:
        return structs([self._transcript(*one, params.language or "en") for one in outputs])

    def _transcript(self, samples: float, squares: float, language: str) -> Transcript:
        seconds, loudness = samples / self.rate, float(np.sqrt(squares / max(1, samples)))
        if self.half:
            loudness = float(np.float16(loudness))
        return Transcript(f"{seconds:.2f} s", seconds, language, no_speech_prob=loudness)
