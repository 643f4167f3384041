from __future__ import annotations

import pytest

from jobs.tables import nbytes


@pytest.mark.parametrize(
    ("text", "expected"), [("1", 1), ("7b", 7), ("2k", 2048), ("512m", 512 << 20), ("1gb", 1 << 30), ("3t", 3 << 40)]
)
def test_sizes_are_powers_of_1024(text: str, expected: int) -> None:
    assert nbytes(text) == expected
