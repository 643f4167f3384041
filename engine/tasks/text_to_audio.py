"""text-to-audio: a text as it is spoken, as the bytes of a wav file. What speaks is the model's family."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa

from engine.audio.wav import Encoding, wav
from engine.batching import Index
from engine.errors import ModelError, ParameterError, RowError
from engine.generation.sampling import keys
from engine.generation.task import seeds
from engine.models.load import LoadedModel
from engine.options import Column
from engine.schema import schema_of
from engine.tasks.base import Encoded
from engine.tasks.limits import longest_input
from engine.tasks.text import TextParams, TextTask, at_least, encoded_rows
from engine.tasks.tokens import Tokens, texts_of, tokenize
from engine.voice.voice import Lines, Waveform, voice

#: Seconds that a job may ask of a row at most.
_LONGEST: Final = 300.0
#: Bytes that a window's recordings have together at most: what an Arrow column of bytes can hold.
_ROOM: Final = (1 << 31) - (1 << 20)


@dataclass(frozen=True, kw_only=True)
class TextToAudioParams(TextParams):
    """Parameters of text-to-audio. A null takes what the model says.

    Args:
        speaking_rate: above 1 speaks faster, below 1 slower. Of VITS.
        noise_scale: how far the voice varies by chance; 0 for none. Of VITS.
        noise_scale_duration: how far the length of each sound varies by chance; 0 for none. Of VITS.
        speaker_id: which of the model's speakers speaks, from 0. Of VITS and FastSpeech2 with several.
        speaker_embedding: numbers that say in whose voice to speak. Of SpeechT5, which needs them, and FastSpeech2.
        seed: what chance depends on beside the text; null takes the row's key in a job, else the parameters. The same
            text with the same seed sounds the same, whatever else is scored.
        max_duration_s: seconds of audio at most, 300 for the longest.
        encoding: of the wav file's samples: pcm_16 or float (32 bits, exactly what the model gave).
        max_length: tokens of a text at most; null takes what the model allows.
        long_text: what becomes of a text with more tokens, or of more seconds: truncate (cut, and flagged) or error
            (of its row).
    """

    speaking_rate: float | None = None
    noise_scale: float | None = None
    noise_scale_duration: float | None = None
    speaker_id: int | None = None
    speaker_embedding: tuple[float, ...] | None = None
    seed: int | None = None
    max_duration_s: float = 120.0
    encoding: Encoding = "pcm_16"

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(self, 0, "noise_scale", "noise_scale_duration", "speaker_id")
        if self.speaking_rate is not None and not self.speaking_rate > 0:
            raise ParameterError(f"expected speaking_rate to be null or above 0, got {self.speaking_rate}")
        if not 0 < self.max_duration_s <= _LONGEST:
            raise ParameterError(f"expected max_duration_s above 0, {_LONGEST:g} at most, got {self.max_duration_s}")


@dataclass(frozen=True)
class Speeches:
    """What ``forward`` and ``decode`` read: each row's tokens, the key of its noise and its speaker's embedding."""

    tokens: Tokens
    keys: Sequence[int]
    speakers: Sequence[Sequence[float] | None]
    params: TextToAudioParams


class TextToAudio(TextTask):
    """Spoken texts. An item is a text, which is spoken whole."""

    name = "text-to-audio"
    Params = TextToAudioParams
    auto_class = ("AutoModelForTextToWaveform", "AutoModelForTextToSpectrogram")
    needs = ("tokenizer", "vocoder")
    architecture = ("VitsModel", "FastSpeech2ConformerWithHifiGan", "SpeechT5ForTextToSpeech")
    unused = ("posterior_encoder",)  # VITS reads it in training alone
    by_row = ("seed", "speaker_embedding")
    fixed = ("max_duration_s",)
    half = False  # of 8 bits a sample has noise that is heard, and durations change
    window_rows = 64  # of 300 s, 24,000 samples a second and 4 bytes each: 1.7 GiB of answers
    window_bytes = 32 << 10  # a letter is about 65 ms: 35 minutes of speech

    def __init__(self, loaded: LoadedModel) -> None:
        super().__init__(loaded)
        check_tokenizer(loaded.tokenizer)
        self.voice = voice(loaded)

    @classmethod
    def draws(cls, params: Mapping[str, Any], bundle: Path) -> bool:
        import transformers

        config = transformers.AutoConfig.from_pretrained(bundle, local_files_only=True, trust_remote_code=False)
        if config.model_type == "speecht5":
            return bool(config.speech_decoder_prenet_dropout > 0)
        if config.model_type != "vits":
            return False
        names = ["noise_scale"] + ["noise_scale_duration"] * config.use_stochastic_duration_prediction
        asked = {name: getattr(config, name) if params.get(name) is None else params[name] for name in names}
        return any(isinstance(value, Column) or value != 0 for value in asked.values())

    def encode(self, inputs: Mapping[str, pa.Array], params: TextToAudioParams) -> Encoded:
        texts = [str(text) for text in texts_of(inputs["text"])]
        speakers = embeddings(inputs.get("speaker_embedding"), params, len(texts))
        self._check_room(params)
        self.voice.check(params, speakers)
        limit = self._limit(params)
        tokens = tokenize(self.tokenizer, texts, max_length=limit)
        drawn = list(
            keys(texts, seeds(inputs.get("seed"), params, len(texts)), replace(params, speaker_embedding=None))
        )
        encoded = encoded_rows(tokens, len(texts), params, limit)
        return replace(encoded, data=Speeches(tokens, drawn, speakers, params))

    def forward(self, encoded: Encoded, items: Index) -> Sequence[Waveform | RowError]:
        data: Speeches = encoded.data
        most = self._most(data.params)
        lines = Lines(
            ids=self.model_inputs(encoded, items)["input_ids"],
            lengths=encoded.lengths[items].astype(np.int64),
            keys=[data.keys[item] for item in items],
            speakers=[data.speakers[item] for item in items],
            params=data.params,
            most=most,
        )
        spoken = self.voice.speak(lines)
        if data.params.long_text == "truncate":
            return spoken
        error = RowError("too_long", f"expected at most {data.params.max_duration_s:g} s: cut it or change long_text")
        return [error if not isinstance(one, RowError) and one.size > most else one for one in spoken]

    def decode(
        self, encoded: Encoded, rows: Index, outputs: Sequence[Waveform], params: TextToAudioParams
    ) -> pa.StructArray:
        fields = schema_of(self.name).fields
        most, rate = self._most(params), self.voice.rate
        tokens, cut = self.token_columns(encoded, rows)
        columns = [
            pa.array([wav(one[:most], rate, params.encoding) for one in outputs], pa.binary()),
            pa.array([rate] * rows.size, pa.int32()),
            pa.array([min(one.size, most) / rate for one in outputs], pa.float64()),
            tokens,
            pa.array(np.asarray(cut) | [one.size > most for one in outputs], pa.bool_()),
        ]
        return pa.StructArray.from_arrays(columns, fields=list(fields))

    def _check_room(self, params: TextToAudioParams) -> None:
        most = _ROOM // (4 * self.window_rows)  # samples, as floats
        if self._most(params) > most:
            seconds = most // self.voice.rate
            raise RowError(
                "invalid_parameter",
                f"expected max_duration_s of {seconds} at most for a model of {self.voice.rate} samples a second",
            )

    def _limit(self, params: TextToAudioParams) -> int:
        """Tokens of a text at most. A token sounds a frame at least: more of them are longer than the audio may be."""
        asked = longest_input(self.model, self.tokenizer, self.manifest.max_length, params.max_length)
        heard = self._most(params) // self.voice.hop + 1
        return min(limit for limit in (heard, asked, self.voice.longest) if limit is not None)

    def _most(self, params: TextToAudioParams) -> int:
        """Samples of a row at most, one at least."""
        return max(1, int(params.max_duration_s * self.voice.rate))


def embeddings(column: pa.Array | None, params: TextToAudioParams, rows: int) -> list[Sequence[float] | None]:
    """The speaker embedding of each row: of its column, where there is one that is not null in it, else the job's.

    Raises RowError(invalid_parameter) for a column that holds no lists of numbers.
    """
    if column is None:
        return [params.speaker_embedding] * rows
    of = column.type.value_type if pa.types.is_list(column.type) else column.type
    lists = pa.types.is_list(column.type) and (pa.types.is_floating(of) or pa.types.is_integer(of))
    if not (lists or pa.types.is_null(column.type)):
        raise RowError(
            "invalid_parameter", f"expected lists of numbers in the column of speaker_embedding, it holds {column.type}"
        )
    return [params.speaker_embedding if one is None else one for one in column.to_pylist()]


def check_tokenizer(tokenizer: Any) -> None:
    """Raises ModelError where a package is missing that the tokenizer writes texts in sounds with."""
    from transformers.utils import is_uroman_available

    if getattr(tokenizer, "is_uroman", False) and not is_uroman_available():
        raise ModelError(
            "expected the package uroman, with which this model's tokenizer writes other scripts in Latin letters; it "
            "would leave them out: pip install uroman on the driver and the executors"
        )
    try:
        tokenizer("a")
    except Exception as error:  # phonemizers raise what they like
        raise ModelError(
            f"expected a tokenizer that can read a text here, {type(error).__name__} was raised: {error}"
        ) from error
