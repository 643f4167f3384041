"""Real inputs beside the checkout: tests that read them are skipped where they are not."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

_FOLDER = Path(os.environ.get("EMBERCAST_SHARED") or Path(__file__).resolve().parents[2] / "shared")

MESSAGES = _FOLDER / "data" / "sms_spam.tsv"
JFK = _FOLDER / "data" / "jfk.flac"

needs_messages = pytest.mark.skipif(
    not MESSAGES.exists(), reason="the SMS messages are not here: EMBERCAST_SHARED names their folder"
)
needs_jfk = pytest.mark.skipif(not JFK.exists(), reason="the recording is not here: EMBERCAST_SHARED names its folder")
