"""Seconds of the engine's phases, summed over the windows and workers of a pass."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

#: Of ``engine.schema.STATS``. Decoding of files and features run in threads beside ``forward_s``.
_SUMMED: Final = ("audio_s", "encode_s", "forward_s", "decode_s", "load_s", "batches")


def summed(stats: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """The sums over windows; empty for a way that keeps no stats."""
    return {name: sum(one[name] for one in stats) for name in _SUMMED} if stats else {}
