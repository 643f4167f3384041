"""The figures as tables for people, plainly: a GPU machine may lack rich."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

_COLUMNS: Final = ("way", "x real time", "spread", "a core", "word error", "failed", "cold s")
_PHASES: Final = ("wait_s", "encoder_s", "forward_s", "encode_s", "decode_s")


def show(report: Mapping[str, Any]) -> None:
    """Prints a table for clips and one for long recordings, each with the engine's phases and the ratios."""
    machine = report["machine"]
    print(f"{', '.join(machine['gpus']) or machine['cpu']}, {machine['cores']} cores")
    for table, made in report["tables"].items():
        lengths = f"{made['shortest_s']:.0f} to {made['longest_s']:.0f} s"
        print(f"\n{table}: {made['recordings']} recordings of {lengths}, {made['audio_s']:.0f} s together")
        _show(table, report["ways"], report["ratios"][table])


def _show(table: str, ways: Mapping[str, Any], ratios: Mapping[str, float]) -> None:
    measured = {way: told[table] for way, told in ways.items() if table in told}
    print(_line(*_COLUMNS))
    for way, figures in measured.items():
        print(_line(way, *_cells(ways[way]["cold_s"], figures)))
    for way, figures in measured.items():
        if phases := figures["phases"]:
            spent = ", ".join(f"{name[:-2]} {phases[name]:.1f}" for name in _PHASES if name in phases)
            print(f"  {way}, seconds of all workers: {spent}")
    for name, ratio in ratios.items():
        if not name.endswith("_a_core"):
            print(f"  {ratio:5.2f}  {name.replace('_', ' ')}; by processor time {ratios[f'{name}_a_core']:.2f}")


def _cells(cold_s: float, figures: Mapping[str, Any]) -> list[str]:
    slowest, fastest = figures["spread"]
    error = figures.get("word_error")
    return [
        f"{figures['times_real_time']:.1f}",
        f"{slowest:.1f} to {fastest:.1f}",
        f"{figures['times_real_time_a_core']:.1f}",
        "" if error is None else f"{error:.2%}",
        str(figures["failed"]),
        f"{cold_s:.1f}",
    ]


def _line(way: str, *cells: str) -> str:
    return f"{way:32}" + "".join(f"{cell:>16}" for cell in cells)
