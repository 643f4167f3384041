"""The best spans among probabilities, against all pairs, and the probabilities themselves."""

from __future__ import annotations

import numpy as np
import pytest

from engine.tasks.answer_spans import best_spans, probabilities


@pytest.mark.parametrize(("longest", "count"), [(15, 12), (3, 5), (1, 40), (40, 1000), (2, 1)])
def test_the_best_spans_are_those_of_all_pairs(longest: int, count: int) -> None:
    sizes = np.array([1, 7, 30, 0, 12, 30])
    start, end = np.random.default_rng(5).random((2, 6, 30)) * (np.arange(30) < sizes[:, None])
    expected = []
    for window, tokens in enumerate(sizes):
        pairs = [(window, s, e) for s in range(tokens) for e in range(s, min(s + longest, tokens))]
        expected += sorted(pairs, key=lambda pair: -start[pair[0], pair[1]] * end[pair[0], pair[2]])[:count]
    window, first, last, scores = best_spans(start, end, sizes, longest=longest, count=count)
    assert list(zip(window.tolist(), first.tolist(), last.tolist(), strict=True)) == expected
    np.testing.assert_allclose(scores, start[window, first] * end[window, last])


def test_probabilities_add_up_in_each_window() -> None:
    logits = np.array([[1, 2], [3, 400], [0, 0], [-400, 1], [7, 7]], np.float32)
    found = probabilities(logits, np.array([True, True, False, True, True]), np.array([0, 3]))
    assert found[2].tolist() == [0, 0]
    np.testing.assert_allclose(np.add.reduceat(found, [0, 3]), np.ones((2, 2)))
    np.testing.assert_allclose(found[0, 0], 1 / (1 + np.e**2))
