"""A Whisper on the device: features → what was heard → tokens and their times, many segments at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from engine.batching import Index
from engine.errors import ModelError, RowError, UnsupportedTaskError
from engine.speech.alignment import first_positions, matrix
from engine.speech.layers import Layers, Past
from engine.speech.rules import Rules
from engine.speech.states import Heard, States
from engine.speech.writing import Writing
from engine.speech.written import Written

__all__ = ["Decoder", "Rules", "States", "Written"]

#: Segments that are encoded at once on a CPU, whose caches hold the activations of no more.
_ENCODED: Final = 1
#: Segments that are aligned at once: their attention is kept for every token and head.
_ALIGNED: Final = 8
#: Seconds of one position of the encoder's output.
_POSITION_S: Final = 0.02


class Decoder:
    """One loaded Whisper: what touches the device. Lives in a worker.

    Args:
        model: WhisperForConditionalGeneration, in eval mode.
        tokenizer: its own.

    Raises UnsupportedTaskError for a speech model of another family.
    """

    def __init__(self, model: Any, tokenizer: Any) -> None:
        if model.config.model_type != "whisper":
            raise UnsupportedTaskError(
                f"expected a Whisper model (WhisperForConditionalGeneration) or a CTC model, got "
                f"{type(model).__name__}, which this release can't write with: log a model of those families"
            )
        self.model = model
        self.tokenizer = tokenizer
        self.layers = Layers(model)

    @property
    def segment_bytes(self) -> int:
        """Bytes on the device that the states of one segment take."""
        numbers = int(self.model.config.max_source_positions * self.model.config.d_model)
        return 2 * len(self.layers.modules) * numbers * int(self.layers.vectors.element_size())

    def encode(self, features: npt.NDArray[np.float32]) -> States:
        """What is heard in float32 [segments, mels, frames], log-mel features of 30 s each; on the device."""
        import torch

        encoder = self.model.model.encoder
        weight = encoder.conv1.weight
        at_once = _ENCODED if weight.device.type == "cpu" else max(1, len(features))
        with torch.inference_mode():
            states = self.layers.room(len(features), int(self.model.config.max_source_positions))
            for start in range(0, len(features), at_once):
                rows = slice(start, start + at_once)
                part = torch.from_numpy(np.ascontiguousarray(features[rows])).to(weight.device, weight.dtype)
                self.layers.hear(encoder(part).last_hidden_state, states, rows)
        return states

    def take(self, states: States, at: Index) -> States:
        """Some of the segments."""
        import torch

        with torch.inference_mode():
            return states.take(at)

    def languages(self, states: States, codes: Mapping[str, int]) -> list[str]:
        """The likeliest language of each segment, of these: code (en) → token; en where there are none."""
        import torch

        if not codes:
            return ["en"] * len(states)
        device = self.layers.vectors.device
        start = torch.full((len(states), 1), self.model.generation_config.decoder_start_token_id, device=device)
        with torch.inference_mode():
            hidden = self.layers(start, torch.zeros_like(start), Past(self.layers, len(states)), Heard(states))
            likeliest = self.layers.logits(hidden[:, -1])[:, list(codes.values())].argmax(dim=1)
        names = list(codes)
        return [names[at] for at in likeliest.tolist()]

    def write(
        self,
        states: States,
        prompts: Sequence[Sequence[int]],
        rules: Rules,
        *,
        temperature: float = 0.0,
        keys: Sequence[int] | None = None,
    ) -> list[Written | RowError]:
        """What is written for each segment, as ``generate`` writes it for the segment alone.

        Args:
            states: of the segments.
            prompts: of each: start token, language, task …, and what was said before in front of it. Of any lengths.
            rules: what may be written.
            temperature: 0 takes the best token, above it tokens are drawn.
            keys: of each segment's random numbers (``engine.generation.sampling.keys``), where tokens are drawn.

        Returns RowError(non_finite) for segments whose logits hold NaN or Inf. Raises ParameterError for a prompt that
        leaves no room, or without the start token.
        """
        import torch

        if not prompts:
            return []
        with torch.inference_mode():
            return Writing(self.layers, states, prompts, rules, temperature, keys).run()

    def align(
        self,
        states: States,
        prompts: Sequence[Sequence[int]],
        written: Sequence[Written],
        frames: Sequence[int],
    ) -> list[npt.NDArray[np.float64]]:
        """When each token was said: float64 [tokens + 1] for each segment, seconds from its start.

        A token starts where the one before it, as the decoder's input, attends to; the number behind the last token's
        is its end. So numbers 1 and on are transformers' ``token_timestamps`` of the tokens.

        Args:
            states, prompts, written: segments, and what was written behind which prompts.
            frames: of each segment's features, those that are no padding.

        Raises ModelError where the model's generation configuration names no ``alignment_heads``.
        """
        import torch

        heads = getattr(self.model.generation_config, "alignment_heads", None)
        if not heads:
            raise ModelError(
                "expected a generation configuration with alignment_heads, which words are timed by: log the model "
                "with those of the Whisper it was made from, or ask for timestamps=segments"
            )
        watched: dict[int, list[int]] = {}
        for layer, head in heads:
            watched.setdefault(int(layer), []).append(int(head))
        found: list[npt.NDArray[np.float64]] = []
        with torch.inference_mode():
            for start in range(0, len(written), _ALIGNED):
                part = slice(start, start + _ALIGNED)
                at = np.arange(len(written))[part]
                taken = [(list(p), w, f) for p, w, f in zip(prompts[part], written[part], frames[part], strict=True)]
                found += self._aligned(states.take(at), taken, watched)
        return found

    def _aligned(
        self, states: States, segments: Sequence[tuple[list[int], Written, int]], watched: dict[int, list[int]]
    ) -> list[npt.NDArray[np.float64]]:
        import torch

        texts = [[*prompt, *written.ids.tolist()] for prompt, written, _ in segments]
        longest = max(map(len, texts))
        device = self.layers.vectors.device
        ids = torch.tensor([[*text, *[0] * (longest - len(text))] for text in texts], device=device)
        seen: list[Any] = []
        past = Past(self.layers, len(texts))
        positions = torch.arange(longest, device=device)[None].expand_as(ids)
        self.layers(ids, positions, past, Heard(states), watched=watched, seen=seen)
        weights = torch.cat(seen, dim=1)
        width = int(self.model.config.median_filter_width)
        costs = []
        for row, (prompt, written, frames) in enumerate(segments):
            # A text that was cut off has no token behind its last: that one's end is not looked for.
            rows = slice(len(prompt), len(prompt) + len(written.ids) - (written.finish_reason == "length"))
            part = weights[row, :, rows, : max(1, frames // 2)]
            costs.append(-matrix(part, width) if part.shape[1] else np.zeros((0, 1), np.float32))
        firsts = first_positions(costs)
        return [_times(first, len(written.ids)) for first, (_, written, _) in zip(firsts, segments, strict=True)]


def _times(first: Index, tokens: int) -> npt.NDArray[np.float64]:
    """Times of the tokens' starts and the last one's end, of where each token as the decoder's input attends to."""
    times = np.zeros(tokens + 1)
    times[1 : 1 + first.size] = first * _POSITION_S
    times[1 + first.size :] = times[first.size]
    return times
