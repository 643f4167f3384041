"""Windows leave together that are alike in length, and few wait."""

from __future__ import annotations

import numpy as np

from engine.speech.pool import Pool, Window


def pool(*, size: int = 100, budget: int = 10**6, waiting: int = 10**9, mixed: bool = True) -> Pool:
    return Pool(size=size, budget=budget, waiting=waiting, mixed=mixed)


def window(length: int) -> Window:
    return Window(0, length, np.zeros(length, np.float32), None, 0, slice(0, None))


def lengths(batches: list[list[Window]]) -> list[list[int]]:
    return [[len(window.inputs) for window in batch] for batch in batches]


def passed(made: Pool, sizes: list[int]) -> list[list[int]]:
    gone = [batch for size in sizes for batch in made.add(window(size))]
    return lengths([*gone, *made.rest()])


def test_the_longest_leave_first_and_none_stays() -> None:
    assert passed(pool(size=2, mixed=True), [3, 9, 1, 7, 5, 8, 2, 6, 4]) == [[9, 8], [7, 6], [5, 4], [3, 2], [1]]


def test_only_equal_lengths_share_a_batch_where_lengths_may_not_be_mixed() -> None:
    found = passed(pool(size=3, mixed=False), [5, 2, 5, 7, 5, 2, 5, 2, 5, 7])
    assert found == [[5, 5, 5], [2, 2, 2], [7, 7], [5, 5]]


def test_rare_lengths_don_t_keep_frequent_ones_from_filling_batches() -> None:
    made = pool(size=4, mixed=False)
    sizes = [length for rare in range(100) for length in (1000, rare + 1)]
    found = passed(made, sizes)
    assert [len(batch) for batch in found if batch[0] == 1000] == [4] * 25
    assert [batch for batch in found if batch[0] != 1000] == [[rare + 1] for rare in range(100)]


def test_few_wait_however_many_come() -> None:
    made = pool(size=2)
    for count in range(100):
        list(made.add(window(count + 1)))
        assert len(made._waiting) < 8
    made = pool(budget=50, waiting=300)
    for count in range(100):
        list(made.add(window(count + 1)))
        assert sum(one.samples for one in made._waiting) < 300


def test_a_batch_holds_as_many_samples_as_fit_with_its_padding() -> None:
    sizes = [10, 3, 9, 2, 25, 8, 1, 4]
    assert passed(pool(budget=20), sizes) == [[25], [10, 9], [8, 4], [3, 2, 1]]
    assert passed(pool(budget=20, mixed=False), [5, 5, 12, 5, 12, 5, 5]) == [[12], [12], [5, 5, 5, 5], [5]]
