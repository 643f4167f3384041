"""Output tokens per second of each way, and what the ways say beside each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any, Final

from benchmarks.chat.rows import Row
from benchmarks.chat.ways import HALF_PRECISION
from benchmarks.processor import TICK_S

#: Of these the best counts as one way more, under the first name.
_BEST: Final[Mapping[str, tuple[str, ...]]] = {
    "best_pipeline": ("pipeline", "pipeline-batch8"),
    "best_static": ("static-16", "static-32"),
    "best_llama_cpp": ("llama-cpp", "llama-cpp-batch16"),
}


def figures(rows: Sequence[Row], passes: Sequence[Mapping[str, float]], told: Mapping[str, Any]) -> dict[str, Any]:
    """A way's figures, and what else it told but its texts.

    Args:
        rows: what it answered.
        passes: of each, seconds by the clock (``s``) and of the processor (``core_s``).
        told: at the start and the end.
    """
    tokens = sum(row.answer for row in rows)
    rates = [tokens / one["s"] for one in passes]
    kept = {name: value for name, value in told.items() if name not in ("written", "texts", "errors")}
    return {
        "prompts": len(rows),
        "tokens": tokens,
        "tokens_per_s": median(rates),
        "spread": [min(rates), max(rates)],
        "runs_s": [one["s"] for one in passes],
        "tokens_per_core_s": median(tokens / max(one["core_s"], TICK_S) for one in passes),
        "failed": len(told.get("errors", {})),
        "errors": sorted({*told.get("errors", {}).values()}),
        **kept,
    }


def texts(told: Mapping[str, Any], tokenizer: Any) -> dict[str, str]:
    """What a way wrote, by row."""
    if "texts" in told:
        return {row: text.strip() for row, text in told["texts"].items()}
    rows = told["written"]
    return dict(
        zip(rows, map(str.strip, tokenizer.batch_decode([*rows.values()], skip_special_tokens=True)), strict=True)
    )


def lengths_kept(told: Mapping[str, Any], rows: Sequence[Row]) -> bool:
    """Whether a way wrote for every row as many tokens as were asked for; true of one that tells texts alone."""
    written = told.get("written")
    return written is None or all(len(written[str(i)]) == row.answer for i, row in enumerate(rows))


def same(found: Mapping[str, str], reference: Mapping[str, str]) -> float:
    """Share of rows, of those that both answered, in which one text starts with the other.

    In a pipeline's batch every text has the length of the longest.
    """
    shared = found.keys() & reference.keys()
    alike = sum(found[row].startswith(reference[row]) or reference[row].startswith(found[row]) for row in shared)
    return alike / max(len(shared), 1)


def ratios(rates: Mapping[str, float]) -> dict[str, float]:
    """Output tokens per second of the engine through those of each other way in its dtype, and of the best of a kind.

    ``engine`` runs through Spark, ``engine-alone`` is its backend. llama.cpp's weights have four bits in both.
    """
    found = {}
    for ending in ("", HALF_PRECISION):
        known = {name.removesuffix(ending): rate for name, rate in rates.items() if name.endswith(ending)}
        known = {name: rate for name, rate in known.items() if HALF_PRECISION not in name}
        known |= {name: rate for name, rate in rates.items() if name.startswith("llama-cpp")}
        bests = {name: [known[way] for way in kind if way in known] for name, kind in _BEST.items()}
        known |= {name: max(some) for name, some in bests.items() if some}
        for ours in ("engine", "engine-alone"):
            others = {name: rate for name, rate in known.items() if name != ours} if ours in known else {}
            found |= {f"{ours}_to_{way}{ending}".replace("-", "_"): known[ours] / rate for way, rate in others.items()}
    return found
