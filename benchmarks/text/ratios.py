"""What the figures of one length say beside each other."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from operator import eq
from typing import Any, Final

REFERENCES: Final = ("reference-threads", "reference-processes")
#: Stock ``spark_udf`` of the model as ``udfs.pyfunc.log_model`` logs it: MLflow's door, this engine behind it.
HERE: Final = "stock-logged-here"
RIVALS: Final = ("stock", "stock-batch32", "pipeline-udf", "predict-batch-udf")


def ratios(rates: Mapping[str, float]) -> dict[str, float]:
    """Ratios of rows per second by way; those whose ways were not measured are left out.

    The gain over stock is that of the same dtype (``engine_float32_to_stock``) times the dtype's own
    (``engine_to_engine_float32``). The reference is the better of its two ways.
    """
    references = [rates[name] for name in REFERENCES if name in rates]
    rivals = [rates[name] for name in RIVALS if name in rates]
    known = {**rates}
    if references:
        known["reference"] = max(references)
    if rivals:
        known["best_rival"] = max(rivals)
    pairs = (
        ("engine", "stock"),
        (HERE, "stock"),
        ("engine", "best_rival"),
        ("engine", "reference"),
        ("engine-float32", "stock"),
        ("engine", "engine-float32"),
        ("engine-alone", "reference"),
    )
    return {
        f"{above}_to_{below}".replace("-", "_"): known[above] / known[below]
        for above, below in pairs
        if above in known and below in known
    }


def all_ratios(ways: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Ratios by the clock, and under ``per_core`` by processor time, which other work on the machine hardly changes."""
    found: dict[str, Any] = ratios({name: way["rows_per_s"] for name, way in ways.items()})
    net = ratios(without_fixed(ways))
    if "engine_to_stock" in net:
        found["engine_to_stock_without_fixed"] = net["engine_to_stock"]
    return {**found, "per_core": ratios({name: way["rows_per_core_s"] for name, way in ways.items()})}


def without_fixed(ways: Mapping[str, Mapping[str, Any]]) -> dict[str, float]:
    """Rows per second of the median pass, less the seconds that a pass over a few rows takes (``fixed_s``).

    Stock ``spark_udf`` loads its model again in every pass where the master is local, but not on a cluster: this takes
    that from its time, and the engine's own fixed seconds from the engine's. Ways whose pass took no longer than that
    are left out.
    """
    seconds = {name: way["rows"] / way["rows_per_s"] - way["fixed_s"] for name, way in ways.items()}
    return {name: ways[name]["rows"] / left for name, left in seconds.items() if left > 0}


def agreement(
    answers: Mapping[str, Mapping[Any, Any]], of: str, same: Callable[[Any, Any], bool] = eq
) -> dict[str, float]:
    """Share of rows on which each way's answer is that of the way ``of``, on the rows that both scored."""
    expected = answers[of]
    shared = {name: expected.keys() & found.keys() for name, found in answers.items()}
    return {
        name: sum(same(found[row], expected[row]) for row in shared[name]) / len(shared[name])
        for name, found in answers.items()
    }
