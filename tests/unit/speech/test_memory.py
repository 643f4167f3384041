"""Memory of Whisper is bounded by the windows that are heard at once, not by the length or the number of recordings."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from tests import speech_models

ROOT: Final = Path(__file__).parents[3]


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="VmHWM is Linux's")
@pytest.mark.parametrize("mode", ["fast", "sequential"])
def test_hours_by_path_take_the_memory_of_minutes(tmp_path: Path, mode: str) -> None:
    """Two hours have features of 230 MB, which are heard in one call and forgotten as they are heard."""
    model = speech_models.save(tmp_path / "model")
    folder = tmp_path / "recordings"
    folder.mkdir()
    command = [sys.executable, "-m", "tests.hours_of_whisper", str(model), str(folder), mode, "2"]
    grown = int(subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout)
    assert grown <= 100 << 20
