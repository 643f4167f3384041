from __future__ import annotations

import numpy as np
import pytest

from engine.tasks.text_classification import apply_function

LOGITS = np.array([[0.0, np.log(3.0)], [1000.0, -1000.0]], np.float32)


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        ("softmax", [[0.25, 0.75], [1.0, 0.0]]),
        ("sigmoid", [[0.5, 0.75], [1.0, 0.0]]),
        ("none", LOGITS.tolist()),
    ],
)
def test_scores_of_logits_written_out(function: str, expected: list[list[float]]) -> None:
    """The largest logits overflow nowhere: a warning would fail this test."""
    found = apply_function(LOGITS, function)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=1e-6)
