"""Which files are taken for pickles."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.errors import UnsafeModelError
from engine.models.safety.pickles import PATTERNS, refuse


@pytest.mark.parametrize("pattern", PATTERNS)
def test_one_in_the_place_of_what_is_expected_is_named(tmp_path: Path, pattern: str) -> None:
    (tmp_path / pattern.replace("*", "weights")).touch()
    name = pattern.replace("*", "weights")
    with pytest.raises(
        UnsafeModelError, match=rf"^expected tensors in .*, found only {name}, which is unpickled.*\. Do it"
    ):
        refuse(tmp_path, expected="tensors", advice="Do it")


def test_a_folder_without_any_is_not_refused_here(tmp_path: Path) -> None:
    (tmp_path / "config.json").touch()
    refuse(tmp_path, expected="tensors", advice="")
    refuse(tmp_path / "nothing", expected="tensors", advice="")
