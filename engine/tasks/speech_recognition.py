"""automatic-speech-recognition: what is said in a recording, with its times. The family is the model's."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import pyarrow as pa

from engine.batching import Index
from engine.errors import ParameterError, RowError
from engine.models.load import LoadedModel
from engine.speech.recognizer import Recognizer
from engine.speech.transcript import Transcript, structs
from engine.tasks.audio import AudioParams, AudioTask
from engine.tasks.base import Encoded


@dataclass(frozen=True, kw_only=True)
class SpeechRecognitionParams(AudioParams):
    """Parameters of automatic-speech-recognition.

    Args:
        timestamps: what is timed: segments, words (and segments), or none. CTC models know words only.
        long_form: how Whisper reads a recording longer than 30 s: fast (windows side by side, stitched) or sequential
            (its own long-form decoding, where each window starts at the last one's final time stamp).
        language: that is spoken, as a code (en) or a name (english); null takes the one that the model's generation
            configuration names, as of models that were trained further on one, and detects it where it names none.
        speech_task: transcribe, or translate (into English), for a model of several languages.
        initial_prompt: words that are taken for said before, for names and spelling.
        condition_on_previous: whether each window of sequential is told the text of the one before.
        temperatures: tried in turn, of sequential and of windows that fail a threshold; a single 0 is greedy alone.
        compression_ratio_threshold: above it a window's text repeats itself, and the next temperature is tried.
        logprob_threshold: of the mean log-probability of a window's tokens; below it the next temperature is tried.
        no_speech_threshold: a window whose no-speech probability is above it, and whose text fails
            logprob_threshold, is silent.
        sure_no_speech_threshold: a window whose no-speech probability is above it is silent, unless its text is likely
            (mean log-probability above -0.5) or was written behind earlier text; null leaves it to the thresholds
            before, as transformers does.
        silence_threshold: a window that is nowhere louder is silent, and not given to the model: the logarithm (10) of
            a frame's mean power over Whisper's bands; digital silence has -10, a voice -5 to 1. null listens to all.
        steady_db: a window of 1 s or more is silent, and not given to the model, whose loud parts are not this much
            louder than its quiet ones, as in hum and white noise; null listens to all.
        max_new_tokens: tokens of a window at most; null takes what the model allows.
        window_s: seconds of a window of CTC models.
        stride_s: seconds that a window of CTC models shares with each neighbour.
        seed: of what Whisper draws at temperatures above 0, together with what is heard, on which alone it depends
            where null.
    """

    timestamps: Literal["none", "segments", "words"] = "segments"
    long_form: Literal["fast", "sequential"] = "fast"
    language: str | None = None
    speech_task: Literal["transcribe", "translate"] = "transcribe"
    initial_prompt: str | None = None
    condition_on_previous: bool = False
    temperatures: tuple[float, ...] = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
    compression_ratio_threshold: float | None = 1.35
    logprob_threshold: float | None = -1.0
    no_speech_threshold: float | None = 0.6
    sure_no_speech_threshold: float | None = 0.85
    silence_threshold: float | None = -7.0
    steady_db: float | None = 3.0
    max_new_tokens: int | None = None
    window_s: float = 30.0
    stride_s: float = 5.0
    seed: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.temperatures or not all(0 <= one < math.inf for one in self.temperatures):
            raise ParameterError(
                f"expected temperatures of 0 or above and finite, at least one, got {self.temperatures}"
            )
        if self.max_new_tokens is not None and self.max_new_tokens < 1:
            raise ParameterError(f"expected max_new_tokens of at least 1, got {self.max_new_tokens}")


class SpeechRecognition(AudioTask):
    """Transcripts. Whisper and its kin write text window by window; CTC models name a letter for every frame."""

    name = "automatic-speech-recognition"
    Params = SpeechRecognitionParams
    auto_class = ("AutoModelForSpeechSeq2Seq", "AutoModelForCTC")
    needs = ("tokenizer", "features")
    #: A transcript of an hour takes up to some MiB, its words' times included, and a window's are held together.
    window_rows = 1024

    def __init__(self, loaded: LoadedModel) -> None:
        super().__init__(loaded)
        self.recognizer = recognizer(self)

    def encode(self, inputs: Mapping[str, pa.Array], params: Any) -> Encoded:
        self.recognizer.check(params)
        return super().encode(inputs, params)

    def forward(self, encoded: Encoded, items: Index) -> Sequence[Transcript | RowError]:
        return self.recognizer.transcribe(encoded, items)

    def decode(self, encoded: Encoded, rows: Index, outputs: Any, params: Any) -> pa.StructArray:
        return structs(outputs)


def recognizer(task: SpeechRecognition) -> Recognizer:
    """What hears for this model. Raises UnsupportedTaskError for a model of neither family."""
    if task.model.config.is_encoder_decoder:
        from engine.speech.whisper import WhisperRecognizer

        return WhisperRecognizer(task)
    from engine.speech.ctc import CtcRecognizer

    return CtcRecognizer(task)
