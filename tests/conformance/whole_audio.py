"""What tasks promise that hear a recording's start at once. Their tests subclass ``WholeAudioConformance``."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest

from tests import recordings
from tests.conformance.audio import AudioConformance
from tests.recordings import Case


class WholeAudioConformance(AudioConformance):
    """The contract of a task that gives scores of labels: of nothing there are none, so that it is an error of its row.

    Args:
        short: which of the odd recordings have fewer samples than the tiny model hears.
    """

    short: ClassVar[tuple[str, ...]] = ("no sample",)

    @pytest.fixture(autouse=True)
    def _short_ones_are_errors(self, monkeypatch: pytest.MonkeyPatch) -> None:
        cases = recordings.odd_bytes

        def odd_bytes() -> dict[str, Case]:
            found = cases()
            return found | {name: found[name]._replace(code="invalid_audio") for name in self.short}

        monkeypatch.setattr(recordings, "odd_bytes", odd_bytes)

    def numbers(self, row: dict[str, Any]) -> list[float]:
        return [one["score"] for one in sorted(row["scores"], key=lambda one: one["label"])]
