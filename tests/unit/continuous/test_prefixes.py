"""Which prompts share a beginning: by hand, and against every way of grouping few short ones."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.batching import Index
from engine.continuous import prefixes
from engine.continuous.prefixes import Common, common


def prompts(*tokens: list[int]) -> list[Index]:
    return [np.array(one, np.int64) for one in tokens]


@pytest.fixture
def _every_token_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prefixes, "LEAST_TOKENS", 1)
    monkeypatch.setattr(prefixes, "LEAST_SAVED", 1)


def test_nothing_is_shared() -> None:
    assert common([]) == []
    assert common(prompts([1])) == []
    assert common(prompts(list(range(40)), list(range(1, 41)))) == []


def test_a_system_prompt_is_shared_and_a_short_beginning_is_not() -> None:
    system = list(range(50))
    found = common(prompts([*system, 7, 8], [99, 98], [*system, 9], [*system, 7, 3]))
    assert found == [Common(50, (3, 0, 2))]
    assert common(prompts([1, 2, 3, 4], [1, 2, 3, 5])) == []


def test_the_last_token_of_a_prompt_is_its_own() -> None:
    same = list(range(60))
    assert common(prompts(same, same, same)) == [Common(59, (0, 1, 2))]


@pytest.mark.usefixtures("_every_token_counts")
def test_longer_beginnings_of_some_win_over_a_short_one_of_all() -> None:
    found = common(prompts([1, 5, 5, 5, 5, 9], [1, 5, 5, 5, 5, 8], [1, 6, 6, 6, 9], [1, 6, 6, 6, 8]))
    assert sorted((one.length, sorted(one.members)) for one in found) == [(4, [2, 3]), (5, [0, 1])]


@pytest.mark.usefixtures("_every_token_counts")
@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(st.integers(0, 1), min_size=1, max_size=7), min_size=1, max_size=6))
def test_beginnings_are_right_and_save_most_of_what_can_be_saved(tokens: list[list[int]]) -> None:
    given_ = prompts(*tokens)
    found = common(given_)
    members = [at for one in found for at in one.members]
    assert len(members) == len(set(members))
    for one in found:
        assert len({tuple(given_[at][: one.length]) for at in one.members}) == 1
        assert all(len(given_[at]) > one.length for at in one.members)
    saved = sum((len(one.members) - 1) * one.length for one in found)
    assert saved >= 0.7 * max(sum(_saved(tokens, group) for group in way) for way in _ways(len(tokens)))


def _saved(tokens: list[list[int]], group: list[int]) -> int:
    length = 0
    while all(length < len(tokens[at]) - 1 for at in group) and len({tokens[at][length] for at in group}) == 1:
        length += 1
    return (len(group) - 1) * length


def _ways(count: int, groups: tuple[list[int], ...] = ()) -> Iterator[tuple[list[int], ...]]:
    at = sum(map(len, groups))
    if at == count:
        yield groups
        return
    for i in range(len(groups)):
        yield from _ways(count, (*groups[:i], [*groups[i], at], *groups[i + 1 :]))
    yield from _ways(count, (*groups, [at]))
