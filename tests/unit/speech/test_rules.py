"""What a generation configuration says may be written."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest

from engine.errors import ModelError
from engine.speech.rules import Rules
from tests import speech_models


@pytest.fixture(scope="module")
def words():
    return speech_models.tokenizer()


def _model(words, **settings):
    config = SimpleNamespace(max_target_positions=448)
    return SimpleNamespace(config=config, generation_config=speech_models.generation(words, **settings))


def test_rules_are_the_generation_configurations(words) -> None:
    rules = Rules.of(_model(words), timestamps=True)
    assert words.convert_ids_to_tokens([rules.end, rules.start]) == ["<|endoftext|>", "<|startoftranscript|>"]
    assert words.convert_ids_to_tokens([rules.no_speech, rules.no_timestamps]) == ["<|nospeech|>", "<|notimestamps|>"]
    assert words.convert_ids_to_tokens(rules.first_stamp) == "<|0.00|>"
    assert words.convert_ids_to_tokens(list(rules.begin_suppress)) == ["Ġ", "<|endoftext|>"]
    assert rules.max_initial_timestamp == 50
    assert (rules.top_k, rules.positions) == (50, 448)


@pytest.mark.parametrize(
    ("most", "length", "prompt", "room"),
    [(None, 448, 1, 447), (None, 448, 100, 348), (20, 448, 4, 20), (448, 448, 4, 444), (None, 30, 4, 30)],
)
def test_room_is_what_transformers_leaves(words, most: int | None, length: int, prompt: int, room: int) -> None:
    rules = Rules.of(_model(words, max_length=length), timestamps=False, max_new_tokens=most)
    assert rules.room(prompt) == room


def test_a_model_without_time_stamps_writes_text_alone(words) -> None:
    plain = _model(words, no_timestamps_token_id=None)
    rules = Rules.of(plain, timestamps=False)
    assert rules.no_speech is None
    assert replace(rules, no_timestamps=7).no_speech == 6
    with pytest.raises(ModelError, match="no_timestamps_token_id"):
        Rules.of(plain, timestamps=True)


def test_settings_that_are_not_followed_are_refused(words) -> None:
    with pytest.raises(ModelError, match=r"repetition_penalty is 1\.2"):
        Rules.of(_model(words, repetition_penalty=1.2), timestamps=False)
    with pytest.raises(ModelError, match="one end token, got 2"):
        Rules.of(_model(words, eos_token_id=[1, 2]), timestamps=False)
    with pytest.raises(ModelError, match="with decoder_start_token_id, got none"):
        Rules.of(_model(words, decoder_start_token_id=None), timestamps=False)
