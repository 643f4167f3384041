"""Languages of models that can't be had here, told by tokenizers that answer as theirs do."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from engine.errors import RowError
from engine.generation.languages import reading, spoken, target_token


def test_marian_models_of_several_targets_take_the_target_before_the_text() -> None:
    marian = SimpleNamespace(supported_language_codes=[">>fra<<", ">>spa<<"])
    assert spoken({}, marian, "en", "spa") == {"prefix": ">>spa<< "}
    assert spoken({}, marian, "en", None) == {}
    assert spoken({}, SimpleNamespace(supported_language_codes=[]), "en", "spa") == {}
    with pytest.raises(RowError, match="expected target_language among fra, spa"):
        spoken({}, marian, "en", "deu")


def m2m100() -> SimpleNamespace:
    """M2M100's tokenizer names its languages en and fr, and their tokens __en__ and __fr__."""
    known = {"__en__": 5, "__fr__": 6}
    return SimpleNamespace(
        src_lang="en",
        unk_token_id=3,
        lang_code_to_token={"en": "__en__", "fr": "__fr__"},
        convert_tokens_to_ids=lambda token: known.get(token, 3),
    )


def test_m2m100_names_its_language_tokens_otherwise_than_its_languages() -> None:
    tokenizer = m2m100()
    assert target_token(tokenizer, "fr") == 6
    assert target_token(tokenizer, None) is None
    assert target_token(SimpleNamespace(), "fr") is None
    with pytest.raises(RowError, match="expected target_language that the tokenizer has a token for"):
        target_token(tokenizer, "de")


def test_the_source_language_is_set_back_whatever_happens() -> None:
    tokenizer = m2m100()

    def read() -> None:
        assert tokenizer.src_lang == "fr"
        raise OSError("in between")

    with pytest.raises(OSError, match="in between"), reading(tokenizer, "fr"):
        read()
    assert tokenizer.src_lang == "en"
    with reading(tokenizer, None):
        assert tokenizer.src_lang == "en"
    with pytest.raises(RowError, match="expected source_language"), reading(tokenizer, "de"):
        pass
