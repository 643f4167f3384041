"""The benchmark's texts are what it says they are."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.text.models import save_minilm
from benchmarks.text.texts import MOST_TOKENS, WORDS, rows_at, texts, token_lengths, tokens_of, with_repeats


@pytest.mark.parametrize("mean", [27, 200, 500])
def test_texts_are_distinct_and_have_the_mean(mean: int) -> None:
    made = texts(600, mean)
    tokens = [len(text.split()) + 2 for text in made]
    assert len(set(made)) == 600
    assert sum(tokens) / 600 == pytest.approx(mean, rel=0.005)
    assert tokens == token_lengths(600, mean) == [tokens_of(text) for text in made]
    assert max(tokens) <= MOST_TOKENS
    assert len(set(tokens)) > 15  # lengths differ


def test_the_first_texts_have_the_mean_of_all() -> None:
    for mean in (27, 200, 500):
        assert sum(token_lengths(2000, mean)[:100]) / 100 == pytest.approx(mean, rel=0.04)


def test_lengths_are_skewed_as_real_ones_are() -> None:
    lengths = sorted(token_lengths(1001, 200))
    assert lengths[500] < 0.9 * 200 < 200 < max(lengths) / 2


def test_texts_are_the_same_every_time_and_differ_by_seed() -> None:
    assert texts(50, 27) == texts(50, 27)
    assert not set(texts(50, 27, seed=1)) & set(texts(50, 27, seed=2))


def test_one_in_twenty_repeats_one_shortly_before() -> None:
    made = texts(1000, 27)
    repeated = with_repeats(made)
    changed = [i for i in range(1000) if repeated[i] != made[i]]
    assert changed == list(range(19, 1000, 20))
    assert len(set(repeated)) == 950
    assert all(repeated[i] in repeated[max(0, i - 200) : i] for i in changed)


def test_long_texts_are_fewer() -> None:
    assert [rows_at(10_000, mean) for mean in (27, 200, 500)] == [10_000, 675, 270]  # 270,000 tokens, then 135,000
    assert rows_at(1, 500) == 1


@pytest.mark.weights
def test_each_word_is_one_token_of_the_model(tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(save_minilm(tmp_path))
    made = [*texts(30, 27), " ".join(WORDS)]
    assert [len(ids) for ids in tokenizer(made)["input_ids"]] == [tokens_of(text) for text in made]
