"""FastSpeech2 with a Conformer and its HiFi-GAN (https://arxiv.org/abs/2006.04558): all tokens at once, no chance."""

from __future__ import annotations

from typing import Any

from engine.errors import ModelError
from engine.models.load import LoadedModel
from engine.voice.hifigan import HifiGan
from engine.voice.voice import Lines, Voice, Waveform


class FastSpeech2(Voice):
    """A FastSpeech2ConformerWithHifiGan.

    Rows are spoken one by one: its convolutions hear the padding of a batch, and a row would sound otherwise in one.
    """

    takes = ("speaker_id", "speaker_embedding")

    def __init__(self, loaded: LoadedModel) -> None:
        self.model = loaded.model.model
        config = self.model.config
        vocoder = loaded.model.vocoder
        if loaded.manifest.dtype != "float32":
            raise ModelError(
                f"expected dtype float32 for {config.model_type}, whose durations transformers makes in it, got "
                f"{loaded.manifest.dtype}: write dtype: float32"
            )
        self.vocoder = HifiGan(lambda one: vocoder(one.transpose(1, 2)), vocoder.config, frames=1)
        self.rate = int(vocoder.config.sampling_rate)
        self.hop = self.vocoder.hop
        self.speakers = (config.num_speakers or 0) if self.model.multispeaker_model else 0
        self.embedding = config.speaker_embed_dim

    def speak(self, lines: Lines) -> list[Waveform]:
        import torch

        with torch.inference_mode():
            return [self._speak(lines, row) for row in range(len(lines.lengths))]

    def _speak(self, lines: Lines, row: int) -> Waveform:
        import torch

        given: dict[str, Any] = {}
        if lines.params.speaker_id is not None:
            given["speaker_ids"] = torch.tensor([lines.params.speaker_id], device=lines.ids.device)
        if lines.speakers[row] is not None:
            given["speaker_embedding"] = torch.tensor([lines.speakers[row]], device=lines.ids.device)
        spectrogram = self.model(lines.row(row), return_dict=True, **given).spectrogram.transpose(1, 2)
        frames = min(spectrogram.shape[-1], lines.most // self.hop + 1)
        [waveform] = self.vocoder.waveforms(spectrogram, [frames])
        return waveform
