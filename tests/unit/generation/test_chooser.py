"""Tokens of rows that ask for different things, against transformers' own processors on each row alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.continuous.row import Row
from engine.generation.edits import Edits
from tests.choosing import NEVER, Allowing, chooser, follow, row, scores_of

ENDS = (3, 11)
#: What rows may ask for; several of these together, too.
ASKED: list[dict[str, Any]] = [
    {},
    {"min_tokens": 2},
    {"repetition_penalty": 1.3},
    {"repetition_penalty": 0.8, "min_tokens": 3},
    {"presence_penalty": 0.9},
    {"frequency_penalty": 0.7, "presence_penalty": -0.3},
    {"logit_bias": {5: 4.0, 9: -100.0, 10**6: 7.0, -1: 3.0}},
    {"top_logprobs": 5},
    {"top_logprobs": 0},
    {"temperature": 1.0},
    {"temperature": 0.6},
    {"temperature": 1.7, "top_k": 3},
    {"temperature": 1.0, "top_p": 0.8},
    {"temperature": 0.7, "top_p": 0.95},
    {"temperature": 1.3, "min_p": 0.1},
    {"temperature": 0.9, "top_k": 20, "top_p": 0.7, "min_p": 0.02},
    {"temperature": 0.9, "top_p": 0.9, "min_p": 0.3},
    {"temperature": 1.1, "top_p": 0.9, "repetition_penalty": 1.2, "frequency_penalty": 0.4, "top_logprobs": 2},
    {"grammar": Allowing([[5, 9, 11], [3, 7], [20, 21, 22], [3]])},
    {"grammar": Allowing([range(0, 30, 2)]), "temperature": 1.2},
    {"grammar": Allowing([range(1, 30, 3)]), "temperature": 0.8, "top_p": 0.6, "logit_bias": {4: 3.0}},
    {"grammar": Allowing([range(30)]), "presence_penalty": 2.0},
]


def rows_of(kinds: list[int], first: int = 0) -> list[Row]:
    """Rows with prompts of their own."""
    made = np.random.default_rng(first)
    return [
        row(made.integers(0, 33, 1 + at % 7).tolist(), key=first + at, ends=ENDS, **ASKED[kind])
        for at, kind in enumerate(kinds)
    ]


@pytest.mark.parametrize("size", [33, 1500, 9001])
def test_each_row_is_chosen_for_as_if_it_were_alone(size: int) -> None:
    torch.manual_seed(size)
    rows, choose = rows_of(list(range(len(ASKED))) * 2), chooser()
    for _ in range(6):
        follow(rows, torch.randn(len(rows), size) * 3, choose)


@pytest.mark.parametrize("kind", range(len(ASKED)))
def test_rows_that_ask_for_the_same_run_together(kind: int) -> None:
    torch.manual_seed(kind)
    rows, choose = rows_of([kind] * 4), chooser()
    for _ in range(4):
        follow(rows, torch.randn(4, 200) * 2, choose)


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_rows_come_and_go(data: st.DataObject) -> None:
    torch.manual_seed(data.draw(st.integers(0, 2**31)))
    kinds, choose = st.integers(0, len(ASKED) - 1), chooser()
    rows = rows_of(data.draw(st.lists(kinds, min_size=1, max_size=6)))
    for step in range(5):
        # Logits with equal ones among them.
        follow(rows, torch.randint(-9, 9, (len(rows), 40)) / 2.0, choose)
        staying = data.draw(st.permutations(rows))[: data.draw(st.integers(0, len(rows)))]
        rows = staying + rows_of(data.draw(st.lists(kinds, min_size=not staying, max_size=2)), first=10 * step + 10)


def test_a_wide_vocabulary_is_not_sorted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nuclei are small where the spread is wide, nearly everything where there is none, and in between."""
    monkeypatch.setattr("engine.generation.cuts._everywhere", None)
    torch.manual_seed(1)
    asked = [
        {"temperature": temperature, "top_p": top_p, "min_p": min_p, "top_k": top_k}
        for temperature in (0.5, 1.0, 1.5)
        for top_p, min_p, top_k in (
            (0.5, 0, 0),
            (0.99, 0, 0),
            (0.9, 1e-4, 0),
            (1.0, 1e-3, 0),
            (0.97, 0, 900),
            (1, 0, 9),
        )
    ]
    rows, choose = [row(key=key, **each) for key, each in enumerate(asked)], chooser()
    for spread in (6.0, 3.0, 1.0, 0.0):
        follow(rows, torch.randn(len(rows), 70_001) * spread, choose)


def test_equal_logits_give_the_first() -> None:
    logits = torch.zeros(3, 5000)
    logits[0, [4999, 70, 71]] = logits[1, [64, 63]] = logits[2, 4999] = 1.0
    assert chooser()(logits, [row() for _ in range(3)]).tokens.tolist() == [70, 63, 4999]


@pytest.mark.parametrize("asked", [{}, {"temperature": 1.0}, {"temperature": 1.0, "top_p": 0.5}, {"min_tokens": 5}])
def test_logits_that_are_no_numbers_give_no_token(asked: dict[str, Any]) -> None:
    logits = torch.randn(5, 50)
    logits[1, 7], logits[2, 7], logits[3] = float("nan"), float("inf"), NEVER
    logits[4, 7] = NEVER
    found = chooser()(logits, [row(ends=ENDS, top_logprobs=3, **asked) for _ in range(5)])
    assert (found.tokens >= 0).tolist() == [True, False, False, False, True]


@pytest.mark.parametrize("asked", [{}, {"temperature": 1.0}, {"temperature": 1.0, "top_p": 0.5}])
def test_a_row_for_which_nothing_is_left_ends(asked: dict[str, Any]) -> None:
    logits = torch.randn(4, 50)
    nothing = Allowing([[]])
    rows = [
        row(ends=ENDS, grammar=nothing, **asked),
        row(ends=ENDS, grammar=Allowing([ENDS]), min_tokens=4, **asked),
        row(grammar=nothing, **asked),
        row(ends=(10**6, 8), logit_bias=dict.fromkeys(range(50), NEVER), **asked),
    ]
    found = chooser()(logits.clone(), rows)
    assert found.tokens.tolist() == [3, 3, -1, 8]
    expected = logits.log_softmax(dim=-1)[[0, 1, 3], [3, 3, 8]].numpy()
    np.testing.assert_allclose(found.logprob[[0, 1, 3]], expected, rtol=0, atol=1e-5)


def test_a_temperature_of_nothing_draws_nothing() -> None:
    logits = torch.randn(1, 50)
    assert chooser()(logits.clone(), [row(temperature=0.0)]).tokens[0] == logits.argmax()


def test_penalties_by_hand() -> None:
    """Of 4 4 4 4: token 0 stood in the prompt, 1 was written once, 2 twice, 3 in neither and has a bias of -3."""
    asked = {"written": [1, 2, 2], "logit_bias": {3: -3.0}}
    for one, expected in (
        (row([0], repetition_penalty=2.0, **asked), [2.0, 2.0, 2.0, 1.0]),
        (row([0], presence_penalty=0.5, **asked), [4.0, 3.5, 3.5, 1.0]),
        (row([0], frequency_penalty=0.5, **asked), [4.0, 3.5, 3.0, 1.0]),
        (row([0], frequency_penalty=0.5, presence_penalty=1, repetition_penalty=4.0, **asked), [1, -0.5, -1.0, 1.0]),
    ):
        edits, logits = Edits([one], 4, torch.device("cpu"), {}), torch.full((1, 4), 4.0)
        assert edits.apply(logits).tolist() == [0]
        assert logits.tolist() == [expected]
        edits.undo(logits)
        assert logits.tolist() == [[4.0] * 4]


def test_tokens_outside_the_vocabulary_are_passed_over() -> None:
    logits = torch.randn(2, 20)
    rows = [row([25, 1], repetition_penalty=1.5, ends=(30,), min_tokens=3), row([25], repetition_penalty=1.5)]
    follow(rows, logits, chooser())


@pytest.mark.parametrize(
    "asked", [{}, {"temperature": 0.6}, {"top_p": 0.75}, {"temperature": 1.4, "top_p": 0.9}, {"min_p": 0.2}]
)
def test_tokens_are_drawn_with_their_probabilities(asked: dict[str, Any]) -> None:
    """Pearson's statistic over 2,000 draws of six tokens: 99.9 % of fair ones stay below 20.5 (5 degrees)."""
    logits = torch.tensor([0.35, 0.05, 0.25, 0.2, 0.1, 0.05]).log()
    rows, choose = [row(key=key, **{"temperature": 1.0, **asked}) for key in range(500)], chooser()
    expected = scores_of(logits, rows[0])[0].softmax(dim=-1).numpy() * 2000
    counts = np.zeros(6)
    for _ in range(4):
        tokens = choose(logits.expand(500, -1).clone(), rows).tokens
        counts += np.bincount(tokens, minlength=6)
        for one, token in zip(rows, tokens, strict=True):
            one.append(int(token), 0.0)
    assert counts[expected == 0].sum() == 0
    likely = expected > 0
    assert ((counts - expected)[likely] ** 2 / expected[likely]).sum() < 20.5


def test_a_row_that_was_away_is_counted_for_all_that_it_wrote() -> None:
    choose, asked = chooser(), {"frequency_penalty": 1.5, "repetition_penalty": 1.2}
    rows = [row([2, 3], key=key, **asked) for key in range(3)]
    torch.manual_seed(0)
    follow(rows, torch.randn(3, 12), choose)
    follow(rows[1:], torch.randn(2, 12), choose)
    rows[1].append(7, 0.0)  # more than one token between two calls
    follow(rows[::-1], torch.randn(3, 12), choose)


def test_what_is_kept_follows_the_size_of_the_logits() -> None:
    choose, rows = chooser(), [row([5], repetition_penalty=2.0, grammar=Allowing([[1, 2]])), row(temperature=1.0)]
    for size in (40, 70, 5000):
        follow(rows, torch.randn(2, size), choose)


def test_more_likely_tokens_are_told_than_there_are() -> None:
    found = chooser()(torch.tensor([[0.5, 0.25, 0.25]]).log(), [row(top_logprobs=5)])
    assert found.top_ids.tolist() == [[0, 1, 2, 0, 0]]
    np.testing.assert_allclose(np.exp(found.top_logprobs), [[0.5, 0.25, 0.25, 0, 0]], rtol=1e-6)
