"""VITS and MMS-TTS (https://arxiv.org/abs/2106.06103): all tokens at once, how long each sounds, and noise in both.

The stages are those of transformers' VitsModel. Between them the noise is the row's own, durations are counted in
float32 (half precision can't count beyond 256), and no row is made longer than it may be.
"""

from __future__ import annotations

import math
from typing import Any, Final

from engine.models.load import LoadedModel
from engine.voice.hifigan import HifiGan
from engine.voice.instead import instead
from engine.voice.noise import normals
from engine.voice.voice import Lines, Voice, Waveform

#: The streams of a row's noise.
_DURATIONS: Final = 1
_PRIOR: Final = 2


class Vits(Voice):
    """A VitsModel."""

    takes = ("noise_scale", "noise_scale_duration", "speaking_rate", "speaker_id")

    def __init__(self, loaded: LoadedModel) -> None:
        self.model = loaded.model
        self.config = loaded.model.config
        self.rate = int(self.config.sampling_rate)
        self.hop = math.prod(self.config.upsample_rates)
        self.speakers = self.config.num_speakers if self.config.num_speakers > 1 else 0
        self.frames = 1 if loaded.device == "cpu" else 16_384

    def speak(self, lines: Lines) -> list[Waveform]:
        import torch

        with torch.inference_mode():
            speaker = self._speaker(lines)
            vocoder = HifiGan(lambda one: self.model.decoder(one, speaker).squeeze(1), self.config, self.frames)
            spectrograms, lengths = self._spectrograms(lines, speaker, lines.most // self.hop + 1)
            return vocoder.waveforms(spectrograms, lengths.tolist())

    def _speaker(self, lines: Lines) -> Any:
        """[1, size, 1], the embedding of the speaker; None where none is chosen, as in transformers."""
        import torch

        if lines.params.speaker_id is None:
            return None
        return self.model.embed_speaker(torch.tensor([lines.params.speaker_id], device=lines.ids.device))[..., None]

    def _spectrograms(self, lines: Lines, speaker: Any, most: int) -> tuple[Any, Any]:
        """Spectrograms [rows, bins, longest], silent behind each row's end, and int64 [rows], its frames."""
        import torch

        mask = self._inside(torch.from_numpy(lines.lengths).to(lines.ids.device))
        encoded = self.model.text_encoder(lines.ids, mask[..., None], attention_mask=mask.long())
        hidden, mask = encoded.last_hidden_state.transpose(1, 2), mask[:, None]
        durations = self._durations(lines, hidden, mask, speaker)
        total = durations.sum(dim=-1)
        lengths = total.nan_to_num(nan=1.0).clamp(1, most).long()
        at = torch.arange(int(lengths.max()), dtype=total.dtype, device=total.device).expand(len(lengths), -1)
        token = torch.searchsorted(durations.cumsum(dim=-1), at.contiguous(), right=True)
        token = token.clamp_max(hidden.shape[-1] - 1)[..., None].expand(-1, -1, self.config.flow_size)
        means, variances = encoded.prior_means.gather(1, token), encoded.prior_log_variances.gather(1, token)
        latents = means.masked_fill(total.isnan()[:, None, None], float("nan"))
        scale = _or(lines.params.noise_scale, self.model.noise_scale)
        if scale:
            noise = normals(lines.keys, lengths.cpu().numpy(), self.config.flow_size, stream=_PRIOR)
            latents = latents + torch.from_numpy(noise).to(means) * variances.exp() * scale
        inside = self._inside(lengths)[:, None]
        latents = self.model.flow(latents.transpose(1, 2), inside, speaker, reverse=True)
        return latents * inside, lengths

    def _durations(self, lines: Lines, hidden: Any, mask: Any, speaker: Any) -> Any:
        """float32 [rows, tokens]: whole frames of each token, none of padding."""
        import torch

        predict = self.model.duration_predictor
        if self.config.use_stochastic_duration_prediction:
            scale = _or(lines.params.noise_scale_duration, self.model.noise_scale_duration)
            noise = torch.from_numpy(normals(lines.keys, lines.lengths, 2, stream=_DURATIONS)).transpose(1, 2)
            with instead({torch.randn: lambda *shape: noise}):
                found = predict(hidden, mask, speaker, reverse=True, noise_scale=scale)
        else:
            found = predict(hidden, mask, speaker)
        slower = 1.0 / _or(lines.params.speaking_rate, self.model.speaking_rate)
        return (found.float().exp() * mask.float() * slower).ceil().squeeze(1)

    def _inside(self, lengths: Any) -> Any:
        """[rows, longest], 1 within a row's length and 0 behind it, in the model's dtype."""
        import torch

        at = torch.arange(int(lengths.max()), device=lengths.device)
        return (at < lengths[:, None]).to(self.model.dtype)


def _or(asked: float | None, own: float) -> float:
    return own if asked is None else asked
