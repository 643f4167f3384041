"""Labels, words, entities and windows, each written out by hand; windows also against a search through all of them."""

from __future__ import annotations

import numpy as np
import pytest

from engine.tasks.entities import Labels, merged, once, ranges, tokens, words

LABELS = Labels.of(dict(enumerate(("O", "B-PER", "I-PER", "B-LOC", "E-LOC"))), 5)
#: Six tokens of two rows: label and score.
VALUES = np.array([[0, 0.5], [1, 0.9], [2, 0.3], [2, 0.6], [0, 0.4], [1, 0.8]], np.float32)
ROW = np.array([0, 0, 0, 1, 1, 1])


def test_labels_are_taken_apart() -> None:
    assert LABELS.names.to_pylist() == ["O", "B-PER", "I-PER", "B-LOC", "E-LOC"]
    assert LABELS.entities.to_pylist() == ["O", "PER", "PER", "LOC", "LOC"]
    assert LABELS.begins.tolist() == [False, True, False, True, False]
    assert LABELS.tags[1] == LABELS.tags[2]
    assert len(set(LABELS.tags.tolist())) == 4  # E- is no prefix that continues


def test_neighbours_are_merged_within_their_row() -> None:
    found = merged(tokens(VALUES, ROW), LABELS)
    assert found.label.tolist() == [0, 1, 2, 0, 1]  # I-PER of the second row continues nothing of the first
    assert found.score.dtype == np.float32
    np.testing.assert_allclose(found.score, [0.5, 0.6, 0.6, 0.4, 0.8], rtol=1e-6)
    assert found.row.tolist() == [0, 0, 1, 1, 1]
    assert found.edges.tolist() == [0, 1, 3, 4, 5, 6]


def test_a_label_that_begins_an_entity_cuts_it() -> None:
    values = np.array([[1, 0.9], [1, 0.9], [2, 0.9], [3, 0.9], [4, 0.9]], np.float32)
    found = merged(tokens(values, np.zeros(5, np.int64)), LABELS)
    assert found.edges.tolist() == [0, 1, 3, 4, 5]
    assert found.label.tolist() == [1, 1, 3, 4]


@pytest.mark.parametrize(
    ("how", "label", "score"),
    [("first", [0, 1, 2, 1], [0.5, 0.3, 0.6, 0.8]), ("max", [0, 2, 2, 1], [0.5, 0.9, 0.6, 0.8])],
)
def test_a_word_takes_the_label_of_a_token(how: str, label: list[int], score: list[float]) -> None:
    """A row starts a word even with a token that would continue one."""
    values = np.array([[0, 0.5], [1, 0.3], [2, 0.9], [2, 0.6], [0, 0.4], [1, 0.8]], np.float32)
    found = words(values, ROW, np.array([False, False, True, True, True, False]), how)
    assert found.label.tolist() == label
    np.testing.assert_allclose(found.score, score, rtol=1e-6)
    assert (found.row.tolist(), found.edges.tolist()) == ([0, 0, 1, 1], [0, 1, 3, 5, 6])


def test_the_surest_token_of_a_word_may_be_any_and_of_equals_the_first() -> None:
    values = np.array([[0, 0.2], [1, 0.7], [2, 0.7], [0, 0.7], [3, 0.9]], np.float32)
    found = words(values, np.zeros(5, np.int64), np.array([False, True, True, False, True]), "max")
    assert found.label.tolist() == [1, 3]


def test_a_word_takes_the_best_mean() -> None:
    """No token's best label is the second, the mean's is."""
    values = np.array([[0.5, 0.4, 0.1], [0.1, 0.4, 0.5], [0.2, 0.2, 0.6]], np.float32)
    found = words(values, np.zeros(3, np.int64), np.array([False, True, False]), "average")
    assert found.label.tolist() == [1, 2]
    np.testing.assert_allclose(found.score, [0.4, 0.6], rtol=1e-6)


def test_parts_of_entities_lie_end_to_end() -> None:
    inner, edges = merged(tokens(VALUES, ROW), LABELS).parts(np.array([1, 4]))
    assert (inner.tolist(), edges.tolist()) == ([1, 2, 5], [0, 2, 3])
    assert ranges(np.array([5, 0, 7]), np.array([2, 0, 3])).tolist() == [5, 6, 7, 8, 9]


@pytest.mark.parametrize("how", ["first", "max", "average"])
def test_no_tokens_are_no_entities(how: str) -> None:
    nothing = np.zeros(0, np.int64)
    columns = 5 if how == "average" else 2
    found = words(np.zeros((0, columns), np.float32), nothing, nothing.astype(bool), how)
    for pieces in (found, merged(found, LABELS), merged(tokens(np.zeros((0, 2), np.float32), nothing), LABELS)):
        assert (pieces.label.size, pieces.score.size, pieces.edges.tolist()) == (0, 0, [0])


def test_shared_tokens_are_halved() -> None:
    """[CLS] 0 1 2 3 [SEP], [CLS] 2 3 4 5 [SEP], [CLS] 4 5 6 [SEP] of one row, [CLS] 0 [SEP] of the next."""
    content = np.array([0, 1, 1, 1, 1, 0, 0, 1, 1, 1, 1, 0, 0, 1, 1, 1, 0, 0, 1, 0]) == 1
    window = np.repeat([0, 1, 2, 3], [6, 6, 5, 3])
    kept = once(content, window, np.array([0, 0, 0, 1]), 2)
    number = np.array([-1, 0, 1, 2, 3, -1, -1, 2, 3, 4, 5, -1, -1, 4, 5, 6, -1, -1, 0, -1])
    assert number[kept].tolist() == [0, 1, 2, 3, 4, 5, 6, 0]
    assert window[kept].tolist() == [0, 0, 0, 1, 1, 2, 2, 3]


def cut(tokens: int, size: int, stride: int) -> list[range]:
    """The windows of a text, as a tokenizer cuts them."""
    windows = [range(min(size, tokens))]
    while windows[-1].stop < tokens:
        start = windows[-1].start + size - stride
        windows.append(range(start, min(start + size, tokens)))
    return windows


@pytest.mark.parametrize("size", [1, 2, 5, 8])
def test_every_token_is_read_once_where_it_has_the_most_context(size: int) -> None:
    for stride in range(size):
        rows = [cut(length, size, stride) for length in range(4 * size + 3)]
        windows = [window for row in rows for window in row]
        owner = np.repeat(np.arange(len(rows)), [len(row) for row in rows])
        window = np.repeat(np.arange(len(windows)), [len(one) for one in windows])
        number = np.concatenate([np.array(one, np.int64) for one in windows])
        kept = once(np.ones(window.size, bool), window, owner, stride)
        assert number[kept].tolist() == [token for row in rows for token in range(row[-1].stop)]
        for at in np.flatnonzero(kept):
            row = rows[owner[window[at]]]
            contexts = [context(row, one, int(number[at])) for one in row if number[at] in one]
            assert context(row, windows[window[at]], int(number[at])) == max(contexts)


def context(row: list[range], window: range, token: int) -> float:
    """Tokens between this one and the nearer edge of the window; where the text itself ends there is none."""
    before = token - window.start if window.start > 0 else np.inf
    after = window.stop - 1 - token if window.stop < row[-1].stop else np.inf
    return float(min(before, after))
