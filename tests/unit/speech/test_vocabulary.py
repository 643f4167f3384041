"""The tokens of models whose configuration says much, little or nothing."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from engine.errors import ModelError
from engine.speech.vocabulary import Vocabulary
from tests import speech_models


@pytest.fixture(scope="module")
def words() -> Any:
    return speech_models.tokenizer()


def known(words: Any, *, tokenizer: Any = None, size: int = 1000, **settings: Any) -> Vocabulary:
    encoder = SimpleNamespace(conv1=SimpleNamespace(stride=(1,)), conv2=SimpleNamespace(stride=(2,)))
    model = SimpleNamespace(
        model=SimpleNamespace(encoder=encoder),
        config=SimpleNamespace(vocab_size=size),
        generation_config=speech_models.generation(words, **settings),
    )
    return Vocabulary.of(model, tokenizer or words, 0.01)


def nothing(*names: str) -> dict[str, None]:
    return dict.fromkeys(names)


def test_what_the_generation_configuration_says(words: Any) -> None:
    found = known(words)

    assert words.convert_ids_to_tokens([found.start, found.end, found.previous, found.no_timestamps]) == [
        "<|startoftranscript|>",
        "<|endoftext|>",
        "<|startofprev|>",
        "<|notimestamps|>",
    ]
    assert found.languages["de"] == words.convert_tokens_to_ids("<|de|>")
    assert words.convert_ids_to_tokens(found.head("de", "translate", timestamps=False)) == [
        "<|startoftranscript|>",
        "<|de|>",
        "<|translate|>",
        "<|notimestamps|>",
    ]
    assert (found.step_s, found.spoken) == (0.02, None)


@pytest.mark.parametrize(("size", "several"), [(51_864, False), (51_865, True), (51_866, True)])
def test_a_configuration_that_does_not_say_whether_there_are_several_languages(
    words: Any, size: int, several: bool
) -> None:
    """As of models that were trained further from an early Whisper: what they know is told by their vocabulary."""
    found = known(words, size=size, **nothing("is_multilingual", "lang_to_id", "task_to_id"))

    assert bool(found.languages) == several
    assert found.language(None) == (None if several else "en")
    if several:
        assert found.languages == known(words).languages
        assert found.tasks == known(words).tasks


def test_languages_that_the_tokenizer_lacks_are_not_its_unknown_token(words: Any) -> None:
    class Older:
        def convert_tokens_to_ids(self, token: str) -> int:
            return int(words.convert_tokens_to_ids("<|endoftext|>" if token == "<|yue|>" else token))

        def convert_ids_to_tokens(self, token: int) -> str:
            return str(words.convert_ids_to_tokens(token))

    found = known(words, **nothing("lang_to_id"))
    older = known(words, tokenizer=Older(), **nothing("lang_to_id"))

    assert set(found.languages) - set(older.languages) == {"yue"}


def test_a_tokenizer_without_whispers_tokens_is_refused(words: Any) -> None:
    class Other:
        def convert_tokens_to_ids(self, token: str) -> int:
            return 0

        def convert_ids_to_tokens(self, token: int) -> str:
            return "<unk>"

    with pytest.raises(ModelError, match=r"token <\|notimestamps\|>"):
        known(words, tokenizer=Other(), **nothing("no_timestamps_token_id"))


@pytest.mark.parametrize(
    ("language", "spoken"), [("german", "de"), ("<|de|>", "de"), ("DE", "de"), ("klingon", None), (["de"], None)]
)
def test_a_language_that_the_generation_configuration_names(words: Any, language: Any, spoken: str | None) -> None:
    found = known(words, language=language)

    assert found.language(None) == spoken
    assert found.language("fr") == "fr"
    assert known(words, multilingual=False, language=language).language(None) == "en"
