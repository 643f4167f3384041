"""Token ids, segments, lengths and padding, each against transformers or written out."""

from __future__ import annotations

import threading
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from engine.errors import RowError
from engine.tasks.limits import longest_input
from engine.tasks.tokens import Tokens, collate, tokenize
from tests import tiny

TEXTS = ["the cat", "", "water " * 40, "hot", "the " * 90]
PAIRS = ["a day", "over", "the " * 50, "", None]


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A BERT tokenizer as a worker loads it."""
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(tiny.save(tmp_path_factory.mktemp("tokens") / "model"))


def sequences(tokens: Tokens) -> list[tuple[list[int], list[int]]]:
    """Ids and segments of each sequence."""
    cuts = list(zip(tokens.offsets[:-1], tokens.offsets[1:], strict=True))
    return [(tokens.ids[a:b].tolist(), tokens.types[a:b].tolist()) for a, b in cuts]


def unbatched(encoding: Any) -> dict[str, list[int]]:
    """The one sequence of a batch."""
    return {name: values[0] for name, values in encoding.items()}


def test_special_tokens_may_be_left_out(tokenizer: Any) -> None:
    found = tokenize(tokenizer, TEXTS, max_length=None, special_tokens=False)
    assert [ids for ids, _ in sequences(found)] == [tokenizer(t, add_special_tokens=False)["input_ids"] for t in TEXTS]


@pytest.mark.parametrize("limit", [8, 64, None])
@pytest.mark.parametrize("pairs", [None, PAIRS])
def test_tokens_are_those_of_transformers_row_by_row(
    tokenizer: Any, limit: int | None, pairs: list[Any] | None
) -> None:
    """In batches of one, which keep an empty second text as a segment."""
    found = tokenize(tokenizer, TEXTS, pairs, max_length=limit)
    options = {"truncation": limit is not None, "max_length": limit, "verbose": False}
    rows = [([a], None if b is None else [b]) for a, b in zip(TEXTS, pairs or [None] * 5, strict=True)]
    whole = [unbatched(tokenizer(*row, verbose=False)) for row in rows]
    cut = [unbatched(tokenizer(*row, **options)) for row in rows]
    assert sequences(found) == [(one["input_ids"], one["token_type_ids"]) for one in cut]
    assert found.lengths.tolist() == [len(one["input_ids"]) for one in cut]
    assert found.truncated.tolist() == [
        len(a["input_ids"]) > len(b["input_ids"]) for a, b in zip(whole, cut, strict=True)
    ]


def test_a_tokenizer_in_python_gives_the_same_kind_of_tokens() -> None:
    """ByT5: a byte is its value and 3 more, every part ends with 1."""
    from transformers import ByT5Tokenizer

    found = tokenize(ByT5Tokenizer(), ["ab", "abcdef"], ["c", None], max_length=5)
    assert [ids for ids, _ in sequences(found)] == [[100, 101, 1, 102, 1], [100, 101, 102, 103, 1]]
    assert found.truncated.tolist() == [False, True]


def test_a_limit_below_the_special_tokens_is_refused(tokenizer: Any) -> None:
    with pytest.raises(RowError, match=r"invalid_parameter: expected max_length of at least 2.*got 1"):
        tokenize(tokenizer, ["the"], max_length=1)
    with pytest.raises(RowError, match=r"expected max_length of at least 3.*got 2"):
        tokenize(tokenizer, ["the"], ["a"], max_length=2)
    assert tokenize(tokenizer, ["the"], max_length=2).truncated.tolist() == [True]


@pytest.mark.parametrize("words", [54, 60])
def test_a_pair_that_leaves_windows_no_room_is_a_row_error(tokenizer: Any, words: int) -> None:
    """61 tokens are left by the special ones, 7 are shared. Rust panics, and a panic is no Exception."""
    with pytest.raises(RowError, match="too_long: expected a text beside which a window has room"):
        tokenize(tokenizer, ["the " * 90], ["of " * words], max_length=64, cut="only_first", stride=7)


def test_a_pair_may_leave_windows_one_new_token(tokenizer: Any) -> None:
    found = tokenize(tokenizer, ["the " * 90], ["of " * 53], max_length=64, cut="only_first", stride=7)
    assert found.lengths.tolist() == [64] * 83  # 8 tokens, then one more each of the other 82


@pytest.mark.parametrize("side", ["right", "left"])
def test_windows_stand_in_the_order_of_the_text(side: str) -> None:
    """Of 9 tokens, in windows of 4 that share 1; a tokenizer that cuts on the left begins at the end."""
    made = tiny.tokenizer(truncation_side=side)
    found = tokenize(made, ["the a and of to in is it you", "the"], max_length=6, stride=1, spans=True)
    words = [made.decode(ids, skip_special_tokens=True) for ids, _ in sequences(found)]
    whole = {
        "right": ["the a and of", "of to in is", "is it you"],
        "left": ["the a and", "and of to in", "in is it you"],
    }
    assert words == [*whole[side], "the"]
    assert (found.owner.tolist(), found.stride) == ([0, 0, 0, 1], 1)


class Interrupted:
    """A tokenizer whose threads meet between setting the limit and using it, if nothing holds them apart."""

    def __init__(self, tokenizer: Any) -> None:
        self.tokenizer = tokenizer
        self.meeting = threading.Barrier(2)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.tokenizer, name)

    def set_truncation_and_padding(self, **options: Any) -> None:
        self.tokenizer.set_truncation_and_padding(**options)
        with suppress(threading.BrokenBarrierError):  # the other thread waits for the lock, as it should
            self.meeting.wait(0.2)


def test_scorers_that_share_a_tokenizer_keep_their_own_limits(tokenizer: Any) -> None:
    shared = Interrupted(tokenizer)
    found: dict[int, int] = {}

    def work(limit: int) -> None:
        found[limit] = int(tokenize(shared, ["the " * 90], max_length=limit).lengths[0])

    threads = [threading.Thread(target=work, args=(limit,)) for limit in (8, 16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {8: 8, 16: 16}


def test_sequences_are_padded_on_the_right(tokenizer: Any) -> None:
    tokens = Tokens(
        ids=np.array([2, 7, 3, 2, 3, 2, 8, 9, 3]),
        types=np.array([0, 0, 0, 0, 0, 0, 0, 1, 1]),
        offsets=np.array([0, 3, 5, 9]),
        truncated=np.zeros(3, bool),
        owner=np.arange(3),
    )
    inputs = collate(tokens, np.array([2, 1]), tokenizer, "cpu")
    assert inputs.keys() == {"input_ids", "attention_mask", "token_type_ids"}
    assert inputs["input_ids"].tolist() == [[2, 8, 9, 3], [2, 3, 0, 0]]
    assert inputs["attention_mask"].tolist() == [[1, 1, 1, 1], [1, 1, 0, 0]]
    assert inputs["token_type_ids"].tolist() == [[0, 0, 1, 1], [0, 0, 0, 0]]
    assert {tensor.dtype for tensor in inputs.values()} == {torch.int64}


def model(positions: int | None, *, padding: int | None = None, configured: Any = None) -> Any:
    """A model with a table of so many positions, and a configuration that says so or not."""
    made = torch.nn.Module()
    if positions is not None:
        made.position_embeddings = torch.nn.Embedding(positions, 4, padding_idx=padding)
    made.config = SimpleNamespace(max_position_embeddings=configured)
    return made


@pytest.mark.parametrize(
    ("model", "tokenizer_limit", "shipped", "asked", "expected"),
    [
        (model(512), 512, None, None, 512),
        (model(512), 512, 256, None, 256),  # as MiniLM ships it
        (model(512), 512, 256, 1000, 256),
        (model(512), 512, 256, 32, 32),
        (model(512), 10**30, None, None, 512),  # a tokenizer that says nothing
        (model(514, padding=1), 10**30, None, None, 512),  # RoBERTa counts from padding_idx + 1
        (model(None, configured=1024), 10**30, None, None, 1024),
        (model(None, configured=-1), 10**30, None, None, None),  # relative positions
        (model(None), 10**30, None, 4096, 4096),
    ],
)
def test_the_longest_input(
    model: Any, tokenizer_limit: int, shipped: int | None, asked: int | None, expected: int | None
) -> None:
    tokenizer = SimpleNamespace(model_max_length=tokenizer_limit)
    assert longest_input(model, tokenizer, shipped, asked) == expected


def test_a_text_at_the_last_position_is_scored(tmp_path: Path) -> None:
    """A tokenizer that says nothing, a RoBERTa of 66 positions of which it uses 65: cut there, not one later."""
    from tests import scoring

    folder = tiny.save(tmp_path / "model", "roberta")
    tiny.tokenizer(10**30, model_input_names=["input_ids", "attention_mask"]).save_pretrained(folder)
    [row] = scoring.rows(scoring.scorer(folder), text=["the " * 100])
    assert row is not None
    assert (row["tokens"], row["truncated"], row["error"]) == (65, True, None)
