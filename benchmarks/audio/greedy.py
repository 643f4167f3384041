"""The engine's parameters: greedy as the rivals are, without time stamps where a way can do without."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

#: By way. Whisper's own long-form decoding starts a window at the last one's final time stamp: it needs them.
ENGINE: Final[Mapping[str, Mapping[str, Any]]] = {
    "engine": {"temperatures": [0.0], "timestamps": "none"},
    "engine-sequential": {"temperatures": [0.0], "timestamps": "segments", "long_form": "sequential"},
}
