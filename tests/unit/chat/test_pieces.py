"""Tokens as text and bytes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from engine.chat.pieces import Pieces
from tests import tiny


def byte_level() -> Any:
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=300, special_tokens=["<|end|>"], initial_alphabet=pre_tokenizers.ByteLevel.alphabet()
    )
    made.train_from_iterator(["so many people", "so they said"], trainer)
    return PreTrainedTokenizerFast(tokenizer_object=made, eos_token="<|end|>")


def sentencepiece() -> Any:
    pieces = ["<unk>", *(f"<0x{byte:02X}>" for byte in range(256)), "▁so", "▁", "s", "o"]
    made = Tokenizer(models.BPE({piece: at for at, piece in enumerate(pieces)}, [], byte_fallback=True))
    made.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    return PreTrainedTokenizerFast(tokenizer_object=made, unk_token="<unk>")


@pytest.mark.parametrize("text", ["so they said", "naïve 😀 שלום", "a\nb\t0\x00\x7f"])
def test_bytes_of_pieces_that_are_no_whole_character_make_the_text(text: str) -> None:
    tokenizer = byte_level()
    ids = np.array(tokenizer(text)["input_ids"])
    texts, spelled = Pieces(tokenizer, len(tokenizer)).columns(ids)
    assert b"".join(bytes(one) for one in spelled.to_pylist()).decode() == text
    assert texts.to_pylist() == [bytes(one).decode(errors="replace") for one in spelled.to_pylist()]


def test_a_special_token_is_spelled_as_it_is_named() -> None:
    tokenizer = byte_level()
    texts, spelled = Pieces(tokenizer, len(tokenizer) + 5).columns(np.array([tokenizer.eos_token_id, len(tokenizer)]))
    assert texts.to_pylist() == ["<|end|>", ""]
    assert spelled.to_pylist() == [list(b"<|end|>"), []]


def test_bytes_and_spaces_of_sentencepiece() -> None:
    tokenizer = sentencepiece()
    names = ["▁so", "<0xF0>", "s", "▁"]
    texts, spelled = Pieces(tokenizer, 10).columns(np.array(tokenizer.convert_tokens_to_ids(names)))
    assert spelled.to_pylist() == [list(b" so"), [0xF0], list(b"s"), list(b" ")]
    assert texts.to_pylist() == [" so", "�", "s", " "]


def test_other_vocabularies_have_their_own_spelling() -> None:
    tokenizer = tiny.tokenizer()
    texts, _ = Pieces(tokenizer, 10).columns(np.array(tokenizer.convert_tokens_to_ids(["people", "##e", "[CLS]"])))
    assert texts.to_pylist() == ["people", "##e", "[CLS]"]
