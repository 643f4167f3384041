from __future__ import annotations

import pytest

from jobs.page.counts import STEPS, Counted
from jobs.page.distributions import OTHERS, distribution, moved
from tests.unit.jobs.page.given import LABELS, SCORES, TOKENS


def test_labels_stand_beside_those_of_the_run_before() -> None:
    found = distribution(Counted(LABELS, {"good": 30, "bad": 10}, {"bad": 50, "odd": 50}))
    assert found is not None
    assert (found.bars, found.now, found.before) == (("bad", "odd", "good"), (10, 0, 30), (50, 50, 0))
    assert found.moved == (0.25 + 0.5 + 0.75) / 2


def test_rare_labels_are_one_bar() -> None:
    now = {f"label {at:02}": 100 - at for at in range(25)}
    found = distribution(Counted(LABELS, now))
    assert found is not None
    assert found.bars == (*(f"label {at:02}" for at in range(20)), OTHERS)
    assert found.now[-1] == 80 + 79 + 78 + 77 + 76
    assert sum(found.now) == sum(now.values())
    assert (found.before, found.moved) == ((), None)


def test_scores_lie_in_equal_steps() -> None:
    found = distribution(Counted(SCORES, {"0": 3, "19": 1}, {"0": 1, "19": 1}, low=0.0, high=1.0))
    assert found is not None
    assert (len(found.bars), found.bars[0], found.bars[-1]) == (STEPS, "0 – 0.05", "0.95 – 1")
    assert found.starts[:3] == ("0", "0.05", "0.1")
    assert (found.now[0], found.now[-1], sum(found.now)) == (3, 1, 4)
    assert found.moved == 0.25


def test_steps_of_lengths_grow() -> None:
    found = distribution(Counted(TOKENS, {"0": 1, "19": 1}, low=0.0, high=10.0))  # 0 to 1,023 tokens
    assert found is not None
    assert (found.bars[0], found.bars[-1]) == ("0 – 0.414", "723 – 1,023")


def test_one_number_alone_is_one_bar() -> None:
    found = distribution(Counted(TOKENS, {"0": 7}, {"0": 2}, low=3.0, high=3.0))
    assert found is not None
    assert (found.bars, found.now, found.before, found.moved) == (("7",), (7,), (2,), 0.0)


def test_nothing_counted_is_no_distribution() -> None:
    assert distribution(Counted(LABELS, {}, {"good": 3})) is None


@pytest.mark.parametrize(
    ("now", "before", "expected"), [((2, 2), (7, 7), 0.0), ((5, 0), (0, 1), 1.0), ((3, 1), (1, 1), 0.25)]
)
def test_how_far_two_distributions_are_apart(now: tuple[int, ...], before: tuple[int, ...], expected: float) -> None:
    assert moved(now, before) == expected


def test_a_label_that_holds_a_secret_is_masked(monkeypatch: pytest.MonkeyPatch) -> None:
    from jobs.references import reveal

    monkeypatch.setenv("WORD", "hunter22")
    assert reveal("${env:WORD}") == "hunter22"
    found = distribution(Counted(LABELS, {"hunter22": 1}))
    assert found is not None
    assert found.bars == ("${env:WORD}",)
