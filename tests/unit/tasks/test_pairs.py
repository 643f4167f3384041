"""Pairs joined from texts tokenized once, against transformers tokenizing each pair."""

from __future__ import annotations

from contextlib import suppress
from typing import Any, Final

import numpy as np
import pytest

from engine.tasks import pairs
from engine.tasks.pairs import Pairs, pair_up
from tests import tiny

TEXTS: Final = (
    *("the cat", "", " ", " the  cat ", "water " * 40, "the " * 90, "how long can it be, then?"),
    *("[SEP] the [CLS] cat", "<s> the </s> cat", "שלום the مرحبا cat", "😀 the\x00cat", "ünïcode\u0301 here"),
)
HYPOTHESES: Final = ("it is hot.", "", "This example is about the water, is it not?", "</s> [SEP]", "שלום", " the")


def wordpiece(**arguments: Any) -> Any:
    return tiny.tokenizer(model_input_names=["input_ids", "token_type_ids", "attention_mask"], **arguments)


def byte_level() -> Any:
    """RoBERTa's kind: bytes, a space belongs to the word after it, two separators between the texts."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=["<s>", "<pad>", "</s>", "<unk>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    made.train_from_iterator([" ".join(tiny.WORDS)], trainer)
    made.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), trim_offsets=True)
    return PreTrainedTokenizerFast(tokenizer_object=made, bos_token="<s>", eos_token="</s>", pad_token="<pad>")


def unigram(pair: str = "<s> $A </s> </s> $B </s>") -> Any:
    """SentencePiece's kind: a text's first word has the mark of a space before it too."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    words = [(f"▁{word}", -5.0) for word in tiny.WORDS] + [(c, -9.0) for c in "▁abcdefghijklmnopqrstuvwxyz.,?"]
    made = Tokenizer(models.Unigram([("<s>", 0.0), ("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), *words], unk_id=3))
    made.pre_tokenizer = pre_tokenizers.Metaspace()
    made.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair=pair, special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    return PreTrainedTokenizerFast(tokenizer_object=made, bos_token="<s>", eos_token="</s>", pad_token="<pad>")


def bare() -> Any:
    """Without special tokens, as many decoders have it."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    made = Tokenizer(models.WordLevel({"<unk>": 0, **{w: i for i, w in enumerate(tiny.WORDS, 1)}}, unk_token="<unk>"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    return PreTrainedTokenizerFast(tokenizer_object=made, unk_token="<unk>", pad_token="<unk>")


def in_python() -> Any:
    from transformers import ByT5Tokenizer

    return ByT5Tokenizer()


def joined(tokenizer: Any, limit: int | None) -> Pairs:
    """Every text with every hypothesis."""
    first, second = np.divmod(np.arange(len(TEXTS) * len(HYPOTHESES)), len(HYPOTHESES))
    return pair_up(tokenizer, TEXTS, HYPOTHESES, first, second, max_length=limit)


def plain(tokenizer: Any, limit: int | None) -> list[tuple[list[int], list[int]]]:
    """The same by transformers, pair by pair as the zero-shot pipeline calls it; left whole where it is refused."""
    found = []
    for text in TEXTS:
        for hypothesis in HYPOTHESES:
            options: dict[str, Any] = {"return_token_type_ids": True, "verbose": False}
            whole = tokenizer([[text, hypothesis]], **options)
            with suppress(Exception):  # "Sequence to truncate too short": the tokenizer in Rust raises none narrower
                if limit is not None:
                    whole = tokenizer([[text, hypothesis]], truncation="only_first", max_length=limit, **options)
            found.append((whole["input_ids"][0], whole["token_type_ids"][0]))
    return found


@pytest.mark.parametrize("limit", [6, 24, 64, None])
@pytest.mark.parametrize("made", [wordpiece, byte_level, unigram, bare])
def test_joined_pairs_are_those_of_transformers(made: Any, limit: int | None) -> None:
    tokenizer = made()
    found = joined(tokenizer, limit)
    assert found.starts.shape[1] == 5  # tokenized apart
    assert_same(found, plain(tokenizer, limit), plain(tokenizer, None))


@pytest.mark.parametrize("limit", [24, 64])
def test_a_tokenizer_that_cuts_on_the_left(limit: int) -> None:
    tokenizer = wordpiece(truncation_side="left")
    assert_same(joined(tokenizer, limit), plain(tokenizer, limit), plain(tokenizer, None))


@pytest.mark.parametrize("limit", [60, None])
def test_a_tokenizer_in_python_reads_pair_by_pair(limit: int | None) -> None:
    tokenizer = in_python()
    found = joined(tokenizer, limit)
    assert found.starts.shape[1] == 1
    assert_same(found, plain(tokenizer, limit), plain(tokenizer, None))


@pytest.mark.parametrize("pair", ["<s> $B </s> $A </s>", "<s> $A $B $A </s>"])
def test_a_frame_that_is_not_one_text_after_the_other_reads_pair_by_pair(pair: str) -> None:
    tokenizer = unigram(pair)
    found = joined(tokenizer, None)
    assert found.starts.shape[1] == 1
    assert_same(found, plain(tokenizer, None), plain(tokenizer, None))


def test_real_tokens(minilm: Any) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(minilm)
    assert_same(joined(tokenizer, 32), plain(tokenizer, 32), plain(tokenizer, None))


def test_sequences_are_laid_out_in_any_order_and_kept_in_part() -> None:
    """Two texts (7 8 and 9) between special tokens 1 and 2, written out."""
    pairs = Pairs(
        ids=np.array([7, 8, 9, 1, 2]),
        types=np.array([0, 0, 1, 0, 1]),
        starts=np.array([[3, 0, 4], [3, 2, 4], [3, 1, 4]]),
        sizes=np.array([[1, 2, 1], [1, 1, 1], [1, 1, 1]]),
        truncated=np.array([False, False, True]),
        owner=np.array([0, 1, 1]),
    )
    assert pairs.lengths.tolist() == [4, 3, 3]
    tokens = pairs.laid_out(np.array([2, 0]))
    assert tokens.ids.tolist() == [1, 8, 2, 1, 7, 8, 2]
    assert tokens.types.tolist() == [0, 0, 1, 0, 0, 0, 1]
    assert tokens.offsets.tolist() == [0, 3, 7]
    assert tokens.truncated.tolist() == [True, False]
    kept = pairs.only(np.array([False, True, True]))
    assert kept.laid_out(np.array([0])).ids.tolist() == [1, 9, 2]
    assert (kept.owner.tolist(), kept.lengths.tolist()) == ([1, 1], [3, 3])


def test_no_pairs_are_no_sequences() -> None:
    none = np.zeros(0, np.int64)
    assert pair_up(wordpiece(), ["the"], [], none, none, max_length=8).lengths.tolist() == []


def test_a_text_is_tokenized_once(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []

    def counted(tokenizer: Any, texts: Any, *arguments: Any, **options: Any) -> Any:
        seen.extend(texts)
        return tokenize(tokenizer, texts, *arguments, **options)

    tokenize = pairs.tokenize
    monkeypatch.setattr(pairs, "tokenize", counted)
    joined(wordpiece(), 64)
    assert sorted(seen) == sorted(["a", "a", *TEXTS, *HYPOTHESES])  # and a letter, to see the special tokens


def assert_same(found: Pairs, expected: list[tuple[list[int], list[int]]], whole: list[Any]) -> None:
    tokens = found.laid_out(np.arange(len(expected)))
    assert [tokens.ids[tokens.of(i)].tolist() for i in range(len(expected))] == [ids for ids, _ in expected]
    assert [tokens.types[tokens.of(i)].tolist() for i in range(len(expected))] == [types for _, types in expected]
    assert found.lengths.tolist() == [len(ids) for ids, _ in expected]
    assert found.truncated.tolist() == [len(a[0]) > len(b[0]) for a, b in zip(whole, expected, strict=True)]
    assert found.owner.tolist() == sorted(list(range(len(TEXTS))) * len(HYPOTHESES))
