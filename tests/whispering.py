"""Recordings for Whisper, and what plain transformers hears in them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from tests import recordings
from tests.scoring import rows, scorer

Samples = npt.NDArray[np.float32]

#: What the tests' parameters are in transformers' words: one greedy pass, and the thresholds of the task.
PLAIN: Final[dict[str, Any]] = {
    "temperature": (0.0,),
    "compression_ratio_threshold": 1.35,
    "logprob_threshold": -1.0,
    "no_speech_threshold": 0.6,
}


def noise(seconds: float, *, seed: int = 0, rate: int = 16_000) -> Samples:
    """Noise that comes and goes, a little different every second."""
    drawn = np.random.default_rng(seed)
    count = round(seconds * rate)
    swell = np.interp(np.arange(count) / rate, np.arange(int(seconds) + 2), drawn.random(int(seconds) + 2))
    return np.asarray(0.3 * drawn.normal(size=count) * swell**3, np.float32)


def wav(samples: Samples) -> bytes:
    """A recording's file: float32, so that nothing is lost."""
    return recordings.wav(samples, subtype="FLOAT")


def transcribe(folder: Path, clips: Sequence[Any], **params: Any) -> list[dict[str, Any]]:
    """The structs of recordings: files' bytes, or samples."""
    made = scorer(folder, task="automatic-speech-recognition", params=params, inputs=("audio",))
    found = rows(made, audio=[wav(clip) if isinstance(clip, np.ndarray) else clip for clip in clips])
    return [row for row in found if row is not None]


def spoken(row: dict[str, Any]) -> list[tuple[float, float, str]]:
    """Start, end and text of its segments."""
    return [(one["start"], one["end"], one["text"]) for one in row["segments"]]


class Plain:
    """Plain transformers, file by file, in float32: features as its pipeline makes them, then ``generate``."""

    def __init__(self, folder: Path) -> None:
        from transformers import WhisperFeatureExtractor, WhisperForConditionalGeneration, WhisperTokenizer

        self.model = WhisperForConditionalGeneration.from_pretrained(folder).eval()
        self.tokenizer = WhisperTokenizer.from_pretrained(folder)
        self.extractor = WhisperFeatureExtractor.from_pretrained(folder)

    def features(self, samples: Samples) -> Any:
        """What its pipeline makes of a file of at most 30 s, or of a longer one."""
        long = samples.size > self.extractor.n_samples
        options: dict[str, Any] = {"truncation": False, "padding": "longest"} if long else {}
        return self.extractor(samples, sampling_rate=16_000, return_attention_mask=True, return_tensors="pt", **options)

    def generate(self, samples: Samples, **settings: Any) -> Any:
        import torch

        torch.manual_seed(0)
        return self.model.generate(**self.features(samples), return_segments=True, **settings)

    def text(self, samples: Samples, **settings: Any) -> str:
        ids = self.generate(samples, **settings)["sequences"][0]
        return str(self.tokenizer.decode(ids, skip_special_tokens=True)).strip()

    def segments(self, samples: Samples, **settings: Any) -> list[tuple[float, float, str]]:
        """Start, end and text of each segment that has a text; none lies behind the recording's end."""
        duration = int(self.features(samples).attention_mask.sum()) / 100
        found = self.generate(samples, return_timestamps=True, **settings)["segments"][0]
        told = [
            (
                min(round(float(one["start"]), 2), duration),
                min(round(float(one["end"]), 2), duration),
                str(self.tokenizer.decode(one["tokens"], skip_special_tokens=True)).strip(),
            )
            for one in found
        ]
        return [one for one in told if one[2]]
