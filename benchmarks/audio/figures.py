"""Times real time and word error of each way, and what the ways say beside each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any, Final

from benchmarks.audio.recordings import Recording
from benchmarks.processor import TICK_S

#: Of these the best counts as one way more, under the first name.
_BEST: Final[Mapping[str, tuple[str, ...]]] = {
    "best_pipeline": ("pipeline", "pipeline-batch8"),
    "best_faster_whisper_float32": ("faster-whisper-float32", "faster-whisper-batched-float32"),
    "best_faster_whisper_int8": ("faster-whisper-int8", "faster-whisper-batched-int8"),
}


def figures(
    tables: Mapping[str, Sequence[Recording]],
    passes: Sequence[Mapping[str, Mapping[str, float]]],
    told: Mapping[str, Any],
    *,
    speech: bool = True,
) -> dict[str, Any]:
    """A way's figures by table, and what else it told.

    Args:
        tables: what was transcribed.
        passes: of each, table → seconds by the clock (``s``) and of the processor (``core_s``).
        told: at the start and the end; ``heard`` is table → texts, errors and phases.
        speech: whether the texts mean anything, so that words are counted.
    """
    heard = told["heard"]
    found = {table: _table(tables[table], [one[table] for one in passes], heard[table], speech) for table in heard}
    return {**{name: value for name, value in told.items() if name != "heard"}, **found}


def _table(
    recordings: Sequence[Recording], passes: Sequence[Mapping[str, float]], heard: Mapping[str, Any], speech: bool
) -> dict[str, Any]:
    audio_s = sum(one.seconds for one in recordings)
    rates = [audio_s / one["s"] for one in passes]
    found = {
        "times_real_time": median(rates),
        "spread": [min(rates), max(rates)],
        "runs_s": [one["s"] for one in passes],
        "times_real_time_a_core": median(audio_s / max(one["core_s"], TICK_S) for one in passes),
        "failed": len(heard["errors"]),
        "errors": sorted({*heard["errors"].values()}),
        "phases": heard["phases"],
    }
    return {**found, "word_error": _word_error(recordings, heard["texts"])} if speech else found


def _word_error(recordings: Sequence[Recording], texts: Mapping[str, str]) -> float:
    from demo.words import corpus_error

    return corpus_error((one.text, texts[str(row)]) for row, one in enumerate(recordings))


def ratios(ways: Mapping[str, Mapping[str, Any]], table: str) -> dict[str, float]:
    """The engine's times real time on a table through that of each other way, and through the best of its kind.

    Under ``…_a_core`` stand the same by processor time, which other work on the machine hardly changes.
    """
    found: dict[str, float] = {}
    for ending in ("", "_a_core"):
        rates = {way: one[table][f"times_real_time{ending}"] for way, one in ways.items() if table in one}
        bests = {name: [rates[way] for way in kind if way in rates] for name, kind in _BEST.items()}
        rates |= {name: max(some) for name, some in bests.items() if some}
        if (ours := rates.pop("engine", None)) is not None:
            found |= {f"engine_to_{way}{ending}".replace("-", "_"): ours / rate for way, rate in rates.items()}
    return found
