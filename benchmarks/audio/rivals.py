"""What people transcribe with: the stock pipeline and faster-whisper, each as its own documentation calls it.

Everything is greedy: one beam, temperature 0, no second try at another temperature, no time stamps where a way can do
without. Models are loaded once in a worker. Files' bytes in, texts out; runs in a Spark worker or alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache, partial
from io import BytesIO
from typing import Any, Final

from benchmarks.audio.spec import Spec

#: Files' bytes, and whether they are longer than a window of 30 s → texts.
Transcriber = Callable[[Sequence[bytes], bool], list[str]]

_RATE: Final = 16_000
_THREADS: Final = 1  # as Spark gives every task: torch reads OMP_NUM_THREADS, faster-whisper is told


def by_pipeline(spec: Spec, files: Sequence[bytes], long: bool, *, batch_size: int) -> list[str]:
    """``pipeline("automatic-speech-recognition")``; long files in windows of 30 s.

    It reads files by a program, ffmpeg, and resamples by torchaudio; without them a user decodes and resamples
    by hand.
    """
    windows = {"chunk_length_s": 30, "ignore_warning": True} if long else {}
    waves = [{"raw": samples(data), "sampling_rate": _RATE} for data in files]
    found = _pipeline(spec.model)(waves, batch_size=batch_size, generate_kwargs={"num_beams": 1}, **windows)
    return [one["text"] for one in found]


def by_faster_whisper(spec: Spec, files: Sequence[bytes], long: bool, *, compute_type: str) -> list[str]:
    """``WhisperModel.transcribe``, a file at a time; it decodes and resamples by itself.

    A long file needs time stamps: without them every window starts 30 s after the last one, amid a word.
    """
    model = _faster_whisper(spec.converted, compute_type, spec.device)
    asked = {**_GREEDY, "without_timestamps": not long, "condition_on_previous_text": False}
    return [_joined(model.transcribe(BytesIO(data), **asked)) for data in files]


def by_faster_whisper_batched(spec: Spec, files: Sequence[bytes], long: bool, *, compute_type: str) -> list[str]:
    """``BatchedInferencePipeline`` with batches of 8, which it fills with windows of one file.

    Long files are cut by its voice activity detection, as it does by default; a clip is one window.
    """
    from faster_whisper import BatchedInferencePipeline

    run = BatchedInferencePipeline(model=_faster_whisper(spec.converted, compute_type, spec.device))
    asked = {**_GREEDY, "without_timestamps": True, "batch_size": 8, "vad_filter": long}
    return [_joined(run.transcribe(BytesIO(data), **asked)) for data in files]


_GREEDY: Final[Mapping[str, Any]] = {"language": "en", "beam_size": 1, "temperature": 0.0}

RIVALS: Final[Mapping[str, Callable[[Spec, Sequence[bytes], bool], list[str]]]] = {
    "pipeline": partial(by_pipeline, batch_size=1),
    "pipeline-batch8": partial(by_pipeline, batch_size=8),
    "faster-whisper-float32": partial(by_faster_whisper, compute_type="float32"),
    "faster-whisper-int8": partial(by_faster_whisper, compute_type="int8"),
    "faster-whisper-batched-float32": partial(by_faster_whisper_batched, compute_type="float32"),
    "faster-whisper-batched-int8": partial(by_faster_whisper_batched, compute_type="int8"),
}


def samples(data: bytes) -> Any:
    """A file's samples, float32 [samples], mixed to one channel at 16 kHz."""
    import soundfile
    import soxr

    read, rate = soundfile.read(BytesIO(data), dtype="float32", always_2d=True)
    return soxr.resample(read.mean(axis=1), rate, _RATE)


@lru_cache(maxsize=1)
def _pipeline(folder: str) -> Any:
    from transformers import pipeline

    made = pipeline("automatic-speech-recognition", model=folder, device="cpu")
    if made.tokenizer.pad_token is None:  # batches raise without one
        made.tokenizer.pad_token = made.tokenizer.eos_token
    return made


@lru_cache(maxsize=1)
def _faster_whisper(folder: str, compute_type: str, device: str) -> Any:
    from faster_whisper import WhisperModel

    return WhisperModel(folder, device=device, compute_type=compute_type, cpu_threads=_THREADS, local_files_only=True)


def _joined(transcribed: tuple[Any, Any]) -> str:
    segments, _ = transcribed
    return "".join(segment.text for segment in segments)
