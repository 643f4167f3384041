"""How many tokens are read and written, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from engine.generation.lengths import Lengths

PROMPTS = np.array([3, 10, 40], np.int32)


@pytest.mark.parametrize(
    ("given", "most", "fewest"),
    [
        ({"new": 8}, [8, 8, 8], [0, 0, 0]),
        ({"new": 8, "total": 45}, [8, 8, 5], [0, 0, 0]),
        ({"total": 45}, [42, 35, 5], [0, 0, 0]),
        ({"total": 20}, [17, 10, 1], [0, 0, 0]),
        ({"new": 8, "least": 5}, [8, 8, 8], [5, 5, 5]),
        ({"new": 8, "least": 9}, [8, 8, 8], [8, 8, 8]),
        ({"new": 8, "least_total": 12}, [8, 8, 8], [8, 2, 0]),
        ({"new": 8, "total": 9, "least_total": 4, "causal": False}, [8, 8, 8], [3, 3, 3]),
        ({"total": 6, "causal": False}, [5, 5, 5], [0, 0, 0]),
    ],
)
def test_lengths_count_from_the_prompt_or_the_start(given: dict[str, int], most: list[int], fewest: list[int]) -> None:
    nothing = {"prompt": None, "new": None, "total": None, "least": 0, "least_total": 0, "causal": True}
    lengths = Lengths(**{**nothing, **given})
    assert lengths.most(PROMPTS).tolist() == most
    assert lengths.fewest(PROMPTS).tolist() == fewest
