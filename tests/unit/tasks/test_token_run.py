"""What tokens say, and where words go on: written out for each kind of tokenizer."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from engine.tasks.token_run import Run, joined
from engine.tasks.tokens import tokenize
from tests import tagging, tiny


def run_of(tokenizer: Any, texts: list[str]) -> Run:
    """The tokens of these texts without the special ones."""
    found = tokenize(tokenizer, texts, max_length=None, spans=True)
    assert found.spans is not None
    own = found.spans.side >= 0
    places = np.stack([found.spans.start, found.spans.end], axis=1)[own]
    return Run(texts, found.ids[own], np.repeat(np.arange(len(texts)), found.lengths)[own], places)


def test_pieces_of_words_continue_them() -> None:
    run = run_of(tiny.tokenizer(), ["the cat 😀!", "cat"])
    assert run.strings(tiny.tokenizer()) == ["the", "c", "##a", "##t", "😀", "!", "c", "##a", "##t"]
    assert run.continues(tiny.tokenizer()).tolist() == [False, False, True, True, False, False, False, True, True]


def test_without_marks_a_blank_ends_a_word() -> None:
    """A full stop goes on. A row's first token continues nothing, even after a row that ends without a blank."""
    tokenizer = tagging.byte_level()
    run = run_of(tokenizer, ["the cat.", "it  is", "a "])
    assert run.strings(tokenizer) == ["t", "h", "e", "Ġca", "t", ".", "i", "t", "Ġ", "Ġis", "a", "Ġ"]
    assert np.flatnonzero(run.continues(tokenizer)).tolist() == [1, 2, 4, 5, 7]


def test_a_blank_of_the_token_itself_starts_a_word() -> None:
    """The places of SentencePiece's tokens hold the blank before them; 水 is unknown."""
    tokenizer = tagging.blanks()
    run = run_of(tokenizer, ["the first,the z", " 水 it"])
    assert run.strings(tokenizer) == ["▁the", "▁first", ",", "t", "h", "e", "▁", "z", "▁", "水", "▁it"]
    assert np.flatnonzero(run.continues(tokenizer)).tolist() == [2, 3, 4, 5]


def test_a_tokenizer_without_an_unknown_token_knows_all() -> None:
    tokenizer = tagging.byte_level()
    tokenizer.unk_token = None
    run = run_of(tokenizer, ["a b"])
    assert run.continues(tokenizer).tolist() == [False, False]


def test_without_places_no_word_is_known() -> None:
    run = Run(["a"], np.array([1]), np.array([0]), None)
    assert run.of(np.array([0])).places is None
    assert run.strings(tiny.tokenizer()) == ["[UNK]"]
    with pytest.raises(TypeError, match="places"):
        run.continues(tiny.tokenizer())


def test_pieces_are_joined_as_the_tokenizer_joins_them() -> None:
    edges = np.array([0, 3, 4, 7])
    assert joined(tiny.tokenizer(), ["c", "##a", "##t", "the", "c", "##a", "##t"], edges) == ["cat", "the", "cat"]
    assert joined(tiny.tokenizer(), [], np.array([0])) == []
