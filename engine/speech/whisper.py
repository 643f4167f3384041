"""Whisper: recordings → clips → batches of 30 s → transcripts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

from engine.audio.stream import Samples, Stream
from engine.batching import Index
from engine.errors import RowError, UnsupportedTaskError
from engine.speech.clip import Clip, Heard
from engine.speech.decoder import Decoder
from engine.speech.features import LogMel
from engine.speech.hearing import Hearing
from engine.speech.recognizer import Recognizer
from engine.speech.rules import Rules
from engine.speech.schedule import Schedule
from engine.speech.sound import Held, Sound, Spooled
from engine.speech.transcript import Transcript
from engine.speech.vocabulary import Vocabulary
from engine.speech.windows import windows
from engine.tasks.base import Encoded

if TYPE_CHECKING:
    from engine.tasks.audio import AudioTask
    from engine.tasks.speech_recognition import SpeechRecognitionParams


#: Bytes of a batch's states. Tiny takes 18 MB a segment in float32, large-v3 256 MB in half precision.
_CPU_STATES: Final = 300 << 20
_GPU_STATES: Final = 8 << 30


class WhisperRecognizer(Recognizer):
    """Transcribes with a model of Whisper's architecture.

    Raises UnsupportedTaskError for another one's, ModelError for a configuration that can't be followed.
    """

    def __init__(self, task: AudioTask) -> None:
        super().__init__(task)
        kind = self.model.config.model_type
        if kind != "whisper":
            raise UnsupportedTaskError(
                f"expected a speech model of Whisper's architecture or one of CTC, got {kind}: log one of these"
            )
        self.mel = LogMel(task.features)
        #: What may be written without times; what holds with times is the same and more.
        self.rules = Rules.of(self.model, timestamps=False)
        self.vocabulary = Vocabulary.of(self.model, self.tokenizer, self.mel.frame_s)
        self.decoder = Decoder(self.model, self.tokenizer)

    @property
    def batch_windows(self) -> int:
        """Segments in a batch: those whose states a CPU reads at a step without waiting, a GPU keeps in its memory."""
        states, most = (_CPU_STATES, 16) if self.task.device == "cpu" else (_GPU_STATES, 64)
        return max(1, min(most, states // self.decoder.segment_bytes))

    def check(self, params: SpeechRecognitionParams) -> None:
        self.vocabulary.check(params.language, params.speech_task)
        timed = params.timestamps != "none" or params.long_form == "sequential"
        if timed and self.rules.no_timestamps is None:
            raise RowError(
                "invalid_parameter",
                "expected timestamps none and long_form fast: the model's generation configuration names no "
                "no_timestamps_token_id, behind which time stamps stand",
            )
        if params.timestamps == "words" and not getattr(self.model.generation_config, "alignment_heads", None):
            raise RowError(
                "invalid_parameter",
                "expected timestamps none or segments: the model's generation configuration names no alignment_heads, "
                "by which words are timed",
            )
        self.told(params)

    def told(self, params: SpeechRecognitionParams) -> list[int]:
        """Tokens of the initial prompt. Raises RowError(invalid_parameter) where the tokenizer does not take it."""
        if not params.initial_prompt:
            return []
        try:
            ids = self.tokenizer.get_prompt_ids(params.initial_prompt, return_tensors="np")
        except ValueError:
            raise RowError(
                "invalid_parameter", "expected initial_prompt in words, it holds a token of the model's own"
            ) from None
        return [int(token) for token in ids[1:]]

    def transcribe(self, encoded: Encoded, items: Index) -> Sequence[Transcript | RowError]:
        params: SpeechRecognitionParams = encoded.data.params
        size = params.batch_windows or self.batch_windows
        told = self.told(params)

        def cut(stream: Stream) -> Iterator[Clip]:
            return self._clips(stream, params, told)

        hearing = Hearing(
            decoder=self.decoder,
            rules=lambda timed: Rules.of(self.model, timestamps=timed, max_new_tokens=params.max_new_tokens),
            vocabulary=self.vocabulary,
            params=params,
        )

        def advance(clip: Clip, heard: Heard) -> None:
            clip.advance(heard, self.vocabulary, self.mel.frame_s, condition=params.condition_on_previous)

        def weight(clip: Clip) -> int:
            # One that is read in sequence is heard for long, and its features lie on the disk: few need to wait.
            return max(1, size // 2) if isinstance(clip.sound, Spooled) else 1

        with self.task.pieces(encoded, items, cut, ahead=size, weight=weight) as pieces:
            language = self.vocabulary.language(params.language)
            recorded = Schedule(pieces, hearing.hear, advance, language=language, size=size).run()
        assert encoded.seconds is not None
        return [
            recorded[item].transcript(float(encoded.seconds[item]), params, self.tokenizer, self.vocabulary)
            for item in items.tolist()
        ]

    def _clips(self, stream: Stream, params: SpeechRecognitionParams, told: list[int]) -> Iterator[Clip]:
        """A recording's clips: itself where it is short or read in sequence, else its windows. In a reader thread."""
        if params.long_form == "sequential":
            yield from (self._clip(0, 0, 0, sound, params, told) for sound in self._whole(stream))
            return
        for index, window in enumerate(windows(stream, most=self.mel.samples, hop=self.mel.hop)):
            yield self._clip(index, window.start, window.shared, Held(window.samples, self.mel), params, told)

    def _whole(self, stream: Stream) -> Iterator[Sound]:
        first = stream.read(self.mel.samples + 1)
        if first.size > self.mel.samples:
            yield Spooled(_blocks(first, stream, self.mel.samples), self.mel)
        elif first.size:
            yield Held(first, self.mel)

    def _clip(
        self, index: int, start: int, shared: int, sound: Sound, params: SpeechRecognitionParams, told: list[int]
    ) -> Clip:
        return Clip(
            item=-1,  # the schedule knows
            index=index,
            start=start / self.mel.rate,
            shared=shared / self.mel.rate,
            sound=sound,
            timed=params.timestamps != "none" or isinstance(sound, Spooled),
            told=told,
            conditioned=params.condition_on_previous,
        )


def _blocks(first: Samples, stream: Stream, samples: int) -> Iterator[Samples]:
    block = first
    while block.size:
        yield block
        block = stream.read(samples)
