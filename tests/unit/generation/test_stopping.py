"""When texts end, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from engine.generation.stopping import Stopping
from tests import tiny


def tokens(text: str) -> np.ndarray:
    return np.array([tiny.tokenizer()(text, add_special_tokens=False)["input_ids"]])


@pytest.mark.parametrize(
    ("text", "ends"),
    [
        ("the water", True),  # water is an end token
        ("water the", False),  # it ended a step before
        ("the hot by", True),
        ("hot by the", True),
        ("by the hot", False),
        ("the [MASK]", True),  # a special token, which texts don't show
        ("the [SEP]", False),
    ],
)
def test_a_text_ends_with_a_token_or_a_string(text: str, ends: bool) -> None:
    water = int(tokens("water")[0, 0])
    assert Stopping(tiny.tokenizer(), water, ["t b", "[MASK]"]).ended(tokens(text)).tolist() == [ends]


def test_a_long_text_is_looked_at_where_it_ends() -> None:
    stopping = Stopping(tiny.tokenizer(), None, ["over water"])
    found = [stopping.ended(tokens("a way " * 50 + end))[0] for end in ("over water", "water over", "over")]
    assert found == [True, False, False]


def test_a_text_is_cut_before_the_first_string() -> None:
    stopping = Stopping(tiny.tokenizer(), [3, 5], ["two", "an", "[SEP]"])
    assert stopping.ends.tolist() == [3, 5, 3]
    assert stopping.cut("one an two") == "one "
    assert stopping.cut("two") == ""
    assert stopping.cut("one") == "one"


def test_padding_behind_a_text_is_no_part_of_it() -> None:
    stopping = Stopping(tiny.tokenizer(), [7, 8], ["over"])
    over = int(tokens("over")[0, 0])
    for ids, want in (
        ([9, 8, 0, 0], ([9, 8], "stop")),
        ([9, over, 0], ([9, over], "stop")),
        ([9, 9], ([9, 9], "length")),
    ):
        found, reason = stopping.trimmed(np.array(ids))
        assert (found.tolist(), reason) == want
