"""SpeechT5 (https://arxiv.org/abs/2110.07205): frame after frame, in the voice of a speaker's embedding.

Its decoder drops numbers by chance even when it speaks (https://arxiv.org/abs/1712.05884, section 2.2).
"""

from __future__ import annotations

from typing import Any

from engine.errors import ModelError, RowError
from engine.models.load import LoadedModel
from engine.voice.hifigan import HifiGan
from engine.voice.instead import instead
from engine.voice.noise import generator
from engine.voice.voice import Lines, Voice, Waveform

_NO_VOCODER = (
    "expected a vocoder for SpeechT5's spectrograms: save a SpeechT5HifiGan (microsoft/speecht5_hifigan) with "
    "save_pretrained(…) in a folder named vocoder inside the model's, and score that folder"
)


class SpeechT5(Voice):
    """A SpeechT5ForTextToSpeech and its SpeechT5HifiGan.

    Rows are spoken one by one: transformers drops the same numbers of all rows of a batch.
    """

    takes = ("speaker_embedding",)
    needs_speaker = True

    def __init__(self, loaded: LoadedModel) -> None:
        if loaded.vocoder is None:
            raise ModelError(_NO_VOCODER)
        self.model = loaded.model
        self.config = loaded.model.config
        bins = loaded.vocoder.config.model_in_dim
        if bins != self.config.num_mel_bins:
            raise ModelError(
                f"expected a vocoder of {self.config.num_mel_bins} bins, as the model makes, got one of {bins}: "
                "put the model's own into its folder"
            )
        vocoder = loaded.vocoder
        self.vocoder = HifiGan(lambda one: vocoder(one.transpose(1, 2)), vocoder.config, frames=1)
        self.rate = int(vocoder.config.sampling_rate)
        self.hop = self.vocoder.hop
        self.longest = int(self.config.max_text_positions)
        self.embedding = int(self.config.speaker_embedding_dim)

    def speak(self, lines: Lines) -> list[Waveform | RowError]:
        import torch

        with torch.inference_mode():
            return [self._speak(lines, row) for row in range(len(lines.lengths))]

    def _speak(self, lines: Lines, row: int) -> Waveform | RowError:
        import torch

        ids, reduction = lines.row(row), int(self.config.reduction_factor)
        frames = lines.most // self.hop + 1
        steps = min(-(-frames // reduction), self.config.max_speech_positions)
        speaker = torch.tensor([lines.speakers[row]], device=ids.device, dtype=self.model.dtype)
        ratio = min(20.0, (steps + 0.5) * reduction / ids.shape[1])  # 20 is transformers' own
        with instead({torch.bernoulli: _Dropping(lines.keys[row])}):
            spectrogram = self.model.generate_speech(ids, speaker, maxlenratio=ratio)
        if steps * reduction <= len(spectrogram) < frames:
            return RowError(
                "too_long", f"expected speech of at most {steps * reduction} frames, this text has more: cut it"
            )
        [waveform] = self.vocoder.waveforms(spectrogram.T[None], [min(len(spectrogram), frames)])
        return waveform


class _Dropping:
    """``torch.bernoulli`` with a row's own numbers. Only the last position is drawn: no other is read again."""

    def __init__(self, key: int) -> None:
        self.numbers = generator(key)

    def __call__(self, like: Any, *, p: float) -> Any:
        import torch

        drawn = torch.zeros_like(like)
        drawn[-1] = torch.from_numpy(self.numbers.random(like.shape[-1]) < p)
        return drawn
