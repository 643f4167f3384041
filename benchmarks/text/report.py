"""The figures as tables for people and as one line of JSON for programs."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

_RATIOS: Final = {
    "engine_to_stock": "engine / {stock}",
    "engine_to_stock_without_fixed": "the same without what a pass costs stock and engine before the first row",
    "stock_logged_here_to_stock": "stock spark_udf over the model logged here / {stock}",
    "engine_to_best_rival": "engine / the best of what people use",
    "engine_to_reference": "engine / eager torch alone",
    "engine_float32_to_stock": "of the gain over stock: all but the dtype (engine in float32 / stock)",
    "engine_to_engine_float32": "of the gain over stock: the dtype's part (engine / engine in float32)",
}


def show(report: Mapping[str, Any]) -> None:
    """Prints the tables of a whole benchmark."""
    from rich.console import Console

    console = Console(width=None if sys.stdout.isatty() else 120)
    machine = report["machine"]
    console.print(f"{machine['cpu']}, {machine['cores']} cores, bfloat16: {machine['bf16_flag'] or 'no'}")
    stock = report.get("stock", "stock spark_udf")
    for title, measured in _parts(report):
        _show(console, title, measured, stock)


def _parts(report: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for length, measured in report.get("lengths", {}).items():
        yield f"distinct texts, mean {length} tokens", measured
    if "repeated" in report:
        yield f"one text in twenty repeated, mean {report['repeated']['length']} tokens", report["repeated"]
    for task, measured in report.get("tasks", {}).items():
        yield f"{task}, {measured['rows_are']}", measured


def _show(console: Any, title: str, measured: Mapping[str, Any], stock_is: str) -> None:
    from rich.table import Table

    ways = measured["ways"]
    table = Table(title=title)
    table.add_column("way", no_wrap=True)
    for name in ("texts", "rows/s", "spread", "a core", "x stock", "cold s", "first row s", "as stock"):
        table.add_column(name, justify="right")
    stock = ways.get("stock", {}).get("rows_per_s")
    for name, way in ways.items():
        slowest, fastest = way["spread"]
        cells = [f"{way['rows']:,}", f"{way['rows_per_s']:.1f}", f"{slowest:.0f} to {fastest:.0f}"]
        cells.append(_cell(way.get("rows_per_core_s"), ".0f"))
        cells.append(_cell(stock and way["rows_per_s"] / stock, ".2f"))
        cells += [_cell(way.get("cold_s"), ".1f"), _cell(way.get("first_row_s"), ".1f")]
        table.add_row(name, *cells, _cell(way.get("labels_as_stock", way.get("answers_as_stock")), ".1%"))
    console.print(table)
    for name, words in _RATIOS.items():
        if name in measured["ratios"]:
            core = measured["ratios"]["per_core"].get(name)
            beside = "" if core is None else f"; by processor time {core:.2f}"
            console.print(f"  {measured['ratios'][name]:5.2f}  {words.format(stock=stock_is)}{beside}")


def show_alone(report: Mapping[str, Any]) -> None:
    """Prints the figures of ``--engine-only``, plainly: a GPU machine may lack rich."""
    machine = report["machine"]
    print(f"{', '.join(machine['gpus']) or machine['cpu']}, {machine['cores']} cores")
    for model, lengths in report["models"].items():
        for length, measured in lengths.items():
            print(f"\n{model}, mean {length} tokens, peak {measured['peak_tflops']:.2f} TFLOP/s in {measured['dtype']}")
            print(
                f"{'way':28}{'texts':>9}{'rows/s':>11}{'tokens/s':>12}{'of peak':>9}{'padding':>9}{'host GB':>9}",
                end="",
            )
            print(f"{'device GB':>11}")
            for name, way in measured["ways"].items():
                print(f"{name:28}{way['rows']:>9,}{way['rows_per_s']:>11,.1f}{way['tokens_per_s']:>12,.0f}", end="")
                print(f"{way['of_peak']:>9.1%}{way['padding']:>9.1%}{way['host_gb']:>9.2f}{way['device_gb']:>11.2f}")
            print(f"engine / reference: {measured['ratios']['engine_alone_to_reference']:.2f}")


def finish(report: Mapping[str, Any], save: Path | None) -> None:
    """Writes the report where asked and prints it as the last line."""
    if save is not None:
        save.parent.mkdir(parents=True, exist_ok=True)
        save.write_text(json.dumps(rounded(report), indent=1) + "\n", encoding="utf-8")
    print(json.dumps(rounded(report)), flush=True)


def rounded(value: Any) -> Any:
    """The same with floats of four significant digits."""
    if isinstance(value, float):
        return float(f"{value:.4g}")
    if isinstance(value, Mapping):
        return {key: rounded(one) for key, one in value.items()}
    return [rounded(one) for one in value] if isinstance(value, list) else value


def _cell(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)
