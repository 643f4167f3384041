"""What tasks that hear the start of a recording at once share: read so far, features in threads, batches by length."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from engine.audio.features import longest, shortest, takes_padding
from engine.audio.feed import Piece
from engine.audio.heard import Heard, batches, tensors
from engine.audio.stream import Stream
from engine.batching import Failures, Index, isolate
from engine.errors import ParameterError, RowError, non_finite
from engine.models.load import LoadedModel
from engine.speech.convolutions import hear, hear_one_by_one
from engine.tasks.audio import AudioParams, AudioTask
from engine.tasks.base import Encoded

#: Recordings in a batch, as a CPU's cache and a GPU's memory like; fewer where convolutions read the samples of all at
#: once, whose activations are the largest.
_WINDOWS: Final = {"cpu": (8, 2), "cuda": (64, 16)}
#: Seconds of audio that wait for a pool at most, if each recording has as many as are heard of it.
_AHEAD_S: Final = 3840


@dataclass(frozen=True, kw_only=True)
class WholeAudioParams(AudioParams):
    """Parameters of tasks that hear the start of a recording at once.

    Args:
        max_length_s: seconds that are heard, from the start; what is longer is cut there, and flagged. Models of a
            fixed length (AST, Whisper, CLAP) hear no more than that length.
    """

    max_length_s: float = 30.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.max_length_s > 0:
            raise ParameterError(f"expected max_length_s above 0, got {self.max_length_s}")


class Answer(NamedTuple):
    """What the model made of one recording.

    Args:
        values: float32 [numbers], finite.
        seconds: that it heard.
        truncated: whether the recording is longer.
    """

    values: npt.NDArray[np.float32]
    seconds: float
    truncated: bool


class WholeAudioTask(AudioTask):
    """A task that hears a recording's start, ``max_length_s`` at most, in one piece. ``Params`` is a WholeAudioParams.

    Features are made by the model's own extractor, one recording at a time, as transformers makes them. Those of like
    length share a batch: padded where a mask makes that the same, else of equal length only.
    """

    def __init__(self, loaded: LoadedModel) -> None:
        super().__init__(loaded)
        self.longest = longest(self.features)
        self.shortest = shortest(self.model.config, self.features)
        self.pads = takes_padding(self.model.config)
        self.masks = self.pads and self.model.main_input_name == "input_values"
        if self.masks:
            hear_one_by_one(self.model)

    @abstractmethod
    def compute(self, inputs: Mapping[str, Any]) -> Any:
        """Tensors of a batch on the device → a tensor [recordings, numbers]."""

    def encode(self, inputs: Mapping[str, pa.Array], params: Any) -> Encoded:
        if self._limit(params) < self.shortest:
            least = f"{self.shortest / self.rate:g} or more, of which this model makes anything"
            raise RowError("invalid_parameter", f"expected max_length_s of {least}, got {params.max_length_s:g}")
        return super().encode(inputs, params)

    def forward(self, encoded: Encoded, items: Index) -> Sequence[Answer | RowError]:
        params: WholeAudioParams = encoded.data.params
        limit = self._limit(params)
        budget, pool = self._room(params, limit)
        # Pieces of whatever length: short ones have to fill a batch too, long ones are few.
        ahead = max(2, min(64 if self.device == "cpu" else 128, _AHEAD_S * self.rate // limit))
        answers: dict[int, Answer | RowError] = {}
        failures: Failures = {}
        with self.pieces(encoded, items, self._cut(limit), ahead=ahead) as pieces:
            heard = _heard(pieces, failures)
            for batch in batches(heard, budget, pool=pool, overhead=self.rate // 2 if self.pads else 0):
                answers |= self._answers(batch)
        return [failures.get(item) or answers[item] for item in items.tolist()]

    @staticmethod
    def heard_columns(answers: Sequence[Answer]) -> list[pa.Array]:
        """The columns duration_s (seconds that were heard) and truncated."""
        return [
            pa.array([one.seconds for one in answers], pa.float64()),
            pa.array([one.truncated for one in answers], pa.bool_()),
        ]

    def model_output(self, inputs: Mapping[str, Any]) -> Any:
        """The model's output for tensors of a batch."""
        if not self.masks:
            return self.loaded(**inputs)
        samples, mask = inputs["input_values"], inputs["attention_mask"]
        return hear(self.loaded, samples, mask.sum(1).tolist(), attention_mask=mask)

    def _room(self, params: WholeAudioParams, limit: int) -> tuple[int, int]:
        """Samples of a batch at most, and samples that are gathered before they are sorted by length."""
        many, few = _WINDOWS["cpu" if self.device == "cpu" else "cuda"]
        at_once = many if self.pads or self.longest is not None else few
        return (params.batch_windows or at_once) * limit, 2 * (params.batch_windows or many) * limit

    def _limit(self, params: WholeAudioParams) -> int:
        asked = max(1, round(params.max_length_s * self.rate))
        return asked if self.longest is None else min(asked, self.longest)

    def _cut(self, limit: int) -> Callable[[Stream], Iterator[Heard]]:
        """What makes one ``Heard`` of a stream; its item is told by the piece it comes in. Runs in reader threads."""

        def cut(stream: Stream) -> Iterator[Heard]:
            samples = stream.read(limit)
            truncated = samples.size == limit and stream.read(1).size > 0
            if samples.size < self.shortest:
                least = f"{self.shortest} samples ({self.shortest / self.rate:g} s at {self.rate} Hz)"
                raise RowError("invalid_audio", f"expected at least {least} for this model, got {samples.size}")
            made = self.features(samples, sampling_rate=self.rate, return_tensors="np")
            arrays = {name: np.asarray(array[0]) for name, array in made.items()}
            if self.masks:
                arrays["attention_mask"] = np.ones(samples.size, np.int64)
            cost = limit if self.longest is not None else samples.size
            yield Heard(-1, arrays, samples.size, truncated, cost)

        return cut

    def _answers(self, batch: Sequence[Heard]) -> dict[int, Answer | RowError]:
        """What the model makes of a batch; where that fails, of its halves, down to single recordings."""
        done, failures = isolate(
            lambda part: self._values([batch[i] for i in part.tolist()]), np.arange(len(batch)), code="forward_failed"
        )
        found: dict[int, Answer | RowError] = {batch[i].item: error for i, error in failures.items()}
        for part, values in done:
            for i, numbers in zip(part.tolist(), values, strict=True):
                one = batch[i]
                answer = Answer(numbers, one.samples / self.rate, one.truncated)
                finite = bool(np.isfinite(numbers).all())
                found[one.item] = answer if finite else non_finite()
        return found

    def _values(self, batch: Sequence[Heard]) -> npt.NDArray[np.float32]:
        import torch

        inputs = tensors(
            [one.arrays for one in batch],
            float(self.features.padding_value),
            device=self.device,
            dtype=getattr(torch, self.manifest.dtype),
        )
        values: npt.NDArray[np.float32] = self.compute(inputs).float().cpu().numpy()
        return values


def _heard(pieces: Iterable[Piece], failures: Failures) -> Iterator[Heard]:
    """What is heard of each recording; the errors of those that could not be read are put into ``failures``."""
    for piece in pieces:
        if piece.error is not None:
            failures[piece.item] = piece.error
        elif piece.value is not None:
            yield piece.value._replace(item=piece.item)
