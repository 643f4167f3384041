"""When rows end, against the whole text decoded after every token."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.continuous.row import Row
from engine.generation.backend import Decoding, Prompt
from engine.generation.ending import Ending
from tests import tiny

TOKENIZER = tiny.tokenizer()
WORDS = st.sampled_from(["the", "hot", "by", "way", "with", "x", "##q", "##y", ".", "1", "[SEP]", "[MASK]", "[UNK]"])
STRINGS = st.sampled_from(["t b", "y", "way", "[MASK]", "xq", ". 1", "hot ", "q", "hot by the way", "by.", "zz"])


def row(**asked: Any) -> Row:
    return Row(Prompt(0, np.array([7]), Decoding(**{"max_tokens": 99, **asked})))


def end(made: Row, tokens: list[int], ending: Ending) -> tuple[int, str | None]:
    for token in tokens:
        made.append(token, 0.0)
        if (reason := ending(made)) is not None:
            return made.step, reason
    return made.step, None


def ids(text: str) -> list[int]:
    return list(TOKENIZER(text, add_special_tokens=False)["input_ids"])


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({}, (5, None)),
        ({"max_tokens": 5}, (5, "length")),
        ({"max_tokens": 2}, (2, "length")),
        ({"ends": tuple(ids("water by"))}, (2, "stop")),
        ({"ends": tuple(ids("by")), "max_tokens": 2}, (2, "stop")),  # not for want of length
        ({"stop": ("t b",)}, (2, "stop")),
        ({"stop": ("zz", "y t", "way")}, (3, "stop")),
        ({"stop": ("hot by the way with",)}, (5, "stop")),
        ({"stop": ("way", "by"), "ends": tuple(ids("the"))}, (2, "stop")),
    ],
)
def test_a_row_ends_as_it_asks(asked: dict[str, Any], expected: tuple[int, str | None]) -> None:
    assert end(row(**asked), ids("hot by the way with"), Ending(TOKENIZER)) == expected


def test_a_row_that_may_write_nothing_has_ended() -> None:
    assert Ending(TOKENIZER)(row(max_tokens=0)) == "length"
    assert Ending(TOKENIZER)(row(max_tokens=1)) is None


@settings(max_examples=150, deadline=None)
@given(st.lists(WORDS, min_size=1, max_size=25), st.lists(STRINGS, max_size=3))
def test_a_stop_string_ends_a_row_with_the_token_that_completes_it(words: list[str], strings: list[str]) -> None:
    tokens = TOKENIZER.convert_tokens_to_ids(words)
    expected: tuple[int, str | None] = (len(tokens), None)
    for steps in range(1, len(tokens) + 1):
        text = TOKENIZER.decode(tokens[:steps], skip_special_tokens=True)
        special = "[MASK]" in strings and words[steps - 1] == "[MASK]"
        if special or any(string in text for string in strings):
            expected = (steps, "stop")
            break
    assert end(row(stop=tuple(strings)), tokens, Ending(TOKENIZER)) == expected


def test_rows_with_other_stop_strings_are_kept_apart() -> None:
    ending, tokens = Ending(TOKENIZER), ids("hot by the way")
    found = [end(row(stop=stop), tokens, ending) for stop in (("by",), ("way",), (), ("by",))]
    assert found == [(2, "stop"), (4, "stop"), (4, None), (2, "stop")]


def test_only_tokens_that_can_complete_a_string_are_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    from engine.generation.stopping import Stopping

    asked = []
    whole = Stopping.ended
    monkeypatch.setattr(Stopping, "ended", lambda self, written: asked.append(written.shape[1]) or whole(self, written))
    ending = Ending(TOKENIZER)
    assert end(row(stop=("y u",)), ids("hot by the way up use with"), ending) == (5, "stop")
    assert asked == [5]  # that of up, the first with a u


def test_a_character_of_several_tokens_ends_a_row_when_it_is_whole() -> None:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    made = Tokenizer(models.BPE({letter: i for i, letter in enumerate([*letters, "[PAD]"])}, []))
    made.pre_tokenizer, made.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=made, pad_token="[PAD]")
    tokens = tokenizer("un café\n\nnoir")["input_ids"]
    assert len(tokens) == 14
    for stop, step in (("é", 8), ("fé\n", 9), ("\n\n", 10), ("ê", 14)):
        assert end(row(stop=(stop,)), tokens, Ending(tokenizer))[0] == step
