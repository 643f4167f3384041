"""Models of connectionist temporal classification: a letter or a blank for every frame, all frames at once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from engine.audio.feed import Piece
from engine.audio.heard import batches, tensors
from engine.audio.stream import Stream
from engine.batching import Index, isolate
from engine.errors import RowError, non_finite
from engine.speech.convolutions import hear, hear_one_by_one
from engine.speech.geometry import geometry
from engine.speech.letters import Frames, Letters
from engine.speech.recognizer import Recognizer
from engine.speech.stretches import aligned, stretches
from engine.speech.transcript import Transcript
from engine.tasks.audio import AudioParams
from engine.tasks.base import Encoded

if TYPE_CHECKING:
    from engine.tasks.audio import AudioTask
    from engine.tasks.speech_recognition import SpeechRecognitionParams

#: Parameters of speech recognition that CTC models understand.
_OURS: Final = ("timestamps", "window_s", "stride_s", "seed")
#: Seconds of audio that a device computes at once, and that wait for others of their length. One window of 30 s keeps a
#: CPU busy and takes 0.5 GiB with wav2vec2-base, 0.6 GiB with WavLM-base, whose attention writes its weights down.
_SECONDS: Final = {"cpu": (30, 300), "cuda": (960, 3840)}


class Window(NamedTuple):
    """A stretch of a recording as the model takes it.

    Args:
        item: which recording.
        arrays: what the model is given, by its names for it: samples [samples] or features [frames, features], and
            where it is read a mask, 0 where the feature extractor padded.
        cost: samples of the stretch.
        first: the recording's frame that is the first of the window's own.
        kept: the frames of the model's output that are the window's own.
    """

    item: int
    arrays: dict[str, npt.NDArray[Any]]
    cost: int
    first: int
    kept: slice


@dataclass
class Heard:
    """A recording on its way: its frames so far, by window, and how many of its windows wait."""

    frames: list[Frames] = field(default_factory=list)
    waiting: int = 0
    ended: bool = False
    error: RowError | None = None

    @property
    def whole(self) -> Frames:
        """All frames in order: windows are computed in the order of their lengths."""
        parts = sorted(self.frames, key=lambda part: int(part.at[0]) if part.at.size else -1)
        none = Frames(np.zeros(0, np.int32), np.zeros(0, np.float32), np.zeros(0, np.int64))
        return Frames(*(np.concatenate(columns) for columns in zip(none, *parts, strict=True)))


class CtcRecognizer(Recognizer):
    """Hears windows of many recordings at once and keeps of each frame what was chosen, and its probability.

    A recording no longer than ``window_s`` is one window; a longer one is cut as transformers' pipeline cuts it
    (``chunk_length_s``, ``stride_length_s``). One too short for a single frame has an empty text.
    """

    def __init__(self, task: AudioTask) -> None:
        super().__init__(task)
        self.geometry = geometry(self.model, task.features)
        self.letters = Letters(self.tokenizer, self.model.config.vocab_size)
        if self.geometry.convolutions:
            hear_one_by_one(self.model)

    def check(self, params: SpeechRecognitionParams) -> None:
        known = {*_OURS, *(one.name for one in fields(AudioParams))}
        given = [
            one.name for one in fields(params) if one.name not in known and getattr(params, one.name) != one.default
        ]
        if given:
            raise RowError(
                "invalid_parameter",
                f"expected no {' and no '.join(given)}: this is a CTC model ({self.model.config.model_type}), which "
                "names the letters of the language it was trained for; leave out what is meant for Whisper",
            )
        window, stride = self._lengths(params)
        if not 0 <= 2 * stride < window or window < self.geometry.least:
            least = self.geometry.least / self.task.rate
            raise RowError(
                "invalid_parameter", f"expected a window_s of {least} or more, and a stride_s of less than half of it"
            )

    def transcribe(self, encoded: Encoded, items: Index) -> Sequence[Transcript | RowError]:
        params = encoded.data.params
        heard = {item: Heard() for item in items.tolist()}
        done: dict[int, Transcript | RowError] = {}

        def finish(item: int) -> None:
            """Makes the transcript of a recording that has ended and of which no window waits; its frames go."""
            one = heard[item]
            if one.ended and not one.waiting:
                done[item] = one.error or self._transcript(one.whole, encoded, item)
                one.frames.clear()

        def windows(pieces: Iterable[Piece]) -> Iterator[Window]:
            for piece in pieces:
                one = heard[piece.item]
                if piece.value is None:
                    one.ended, one.error = True, one.error or piece.error
                    finish(piece.item)
                else:
                    one.waiting += 1
                    yield piece.value._replace(item=piece.item)

        budget, pool = self._room(params)
        overhead = self.task.rate // 2 if self.geometry.padded else 0
        with self.task.pieces(encoded, items, lambda stream: self._cut(stream, params), ahead=16) as pieces:
            for batch in batches(windows(pieces), budget, pool=pool, overhead=overhead):
                self._hear(batch, heard)
                for item in {window.item for window in batch}:
                    finish(item)
        return [done[item] for item in items.tolist()]

    def _room(self, params: SpeechRecognitionParams) -> tuple[int, int]:
        """Samples of a batch at most, and samples that wait for others of their length."""
        seconds = _SECONDS["cpu" if self.task.device == "cpu" else "cuda"]
        budget, pool = (one * self.task.rate for one in seconds)
        if params.batch_windows is not None:
            budget = params.batch_windows * self._lengths(params)[0]
        return budget, max(pool, budget)

    def _lengths(self, params: SpeechRecognitionParams) -> tuple[int, int]:
        """Samples of a window and of its stride."""
        rate, ratio = self.task.rate, self.geometry.ratio
        return aligned(params.window_s, rate=rate, ratio=ratio), aligned(params.stride_s, rate=rate, ratio=ratio)

    def _cut(self, stream: Stream, params: SpeechRecognitionParams) -> Iterator[Window]:
        """The windows of a recording, with features; those too short for a frame left out. Runs in a reader thread."""
        window, stride = self._lengths(params)
        for stretch in stretches(stream, window=window, stride=stride):
            if stretch.samples.size < self.geometry.least:
                continue
            features = self.task.features(
                stretch.samples, sampling_rate=stream.rate, return_attention_mask=True, return_tensors="np"
            )
            arrays = {self.model.main_input_name: np.asarray(features[self.model.main_input_name][0], np.float32)}
            if not self.geometry.convolutions:
                arrays["attention_mask"] = np.asarray(features["attention_mask"][0], np.int64)
            elif self.geometry.padded:
                arrays["attention_mask"] = np.ones(stretch.samples.size, np.int64)
            kept = stretch.kept(self.geometry.ratio)
            first = stretch.start // self.geometry.ratio + kept.start
            yield Window(-1, arrays, stretch.samples.size, first, kept)

    def _hear(self, batch: list[Window], heard: dict[int, Heard]) -> None:
        """Computes windows and hands the frames of each to its recording; those of a failed recording are dropped."""
        for window in batch:
            heard[window.item].waiting -= 1
        sound = [window for window in batch if heard[window.item].error is None]
        run = isolate(lambda part: self._frames([sound[i] for i in part]), np.arange(len(sound)), code="forward_failed")
        for part, found in run[0]:
            for i, frames in zip(part.tolist(), found, strict=True):
                one = heard[sound[i].item]
                if np.isfinite(frames.probabilities).all():
                    one.frames.append(frames)
                else:
                    one.error = non_finite()
        for i, error in run[1].items():
            heard[sound[i].item].error = error

    def _frames(self, windows: list[Window]) -> list[Frames]:
        """What the model chooses for the frames of each window: one forward pass."""
        logits = self._logits(windows).float()
        top, ids = logits.max(-1)
        probabilities = (top - logits.logsumexp(-1)).exp().cpu().numpy()
        chosen = ids.cpu().numpy().astype(np.int32)
        found = []
        for row, window in enumerate(windows):
            inputs = window.arrays[self.model.main_input_name]
            length = self.geometry.frames(len(inputs)) if self.geometry.padded else chosen.shape[1]
            kept = chosen[row, :length][window.kept]
            at = window.first + np.arange(kept.size)
            found.append(Frames(kept.copy(), probabilities[row, :length][window.kept].copy(), at))
        return found

    def _logits(self, windows: list[Window]) -> Any:
        """Logits [windows, frames, vocabulary], on the device."""
        name = self.model.main_input_name
        inputs = tensors(
            [window.arrays for window in windows],
            float(self.task.features.padding_value),
            device=self.task.device,
            dtype=self.model.dtype,
        )
        if not self.geometry.convolutions:
            return self.task.loaded(**inputs).logits
        lengths = [len(window.arrays[name]) for window in windows]
        return hear(self.task.loaded, inputs.pop(name), lengths, **inputs).logits

    def _transcript(self, frames: Frames, encoded: Encoded, item: int) -> Transcript:
        assert encoded.seconds is not None
        text, tokens = self.letters.text(frames.ids)
        words = []
        if encoded.data.params.timestamps == "words":
            words = list(self.letters.words(frames, ratio=self.geometry.ratio, rate=self.task.rate))
        return Transcript(text=text, duration_s=float(encoded.seconds[item]), words=words, tokens=tokens)
