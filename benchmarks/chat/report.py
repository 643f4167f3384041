"""What a person reads of the figures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

_COLUMNS: Final = ("way", "prompts", "tokens/s", "slowest to fastest", "a core", "of the limit", "same text", "cold s")
#: What is asked for: a ratio, and the least that it should be.
ASKED: Final = {
    "engine_to_best_pipeline": 10.0,
    "engine_alone_to_best_static": 1.5,
    "engine_alone_to_generate_batch": 1.0,
}


def show(report: Mapping[str, Any]) -> None:
    """Prints the prompts, the limit, a line a way and the ratios, plainly: a GPU machine may lack rich."""
    machine, prompts = report["machine"], report["prompts"]
    print(f"{', '.join(machine['gpus']) or machine['cpu']}, {machine['cores']} cores")
    print(f"{prompts['count']} prompts of {prompts['mean_prompt']:.0f} tokens on average,", end=" ")
    print(f"{prompts['common']} of them shared, answers of {prompts['mean_answer']:.0f}")
    for dtype, limit in report["limits"].items():
        print(f"limit in {dtype}: {limit['tokens_per_s']:,.0f} tokens/s, with {limit['batch']} answers at once")
    for line in report["left_out"]:
        print(line)
    print("\n" + _line(*_COLUMNS))
    for way, told in report["ways"].items():
        print(_line(way, *_cells(told)))
    print()
    for name, ratio in report["ratios"].items():
        least = ASKED.get(name)
        print(f"  {ratio:6.2f}  {name.replace('_', ' ')}" + (f"; asked for is {least:g}" if least else ""))


def _cells(told: Mapping[str, Any]) -> list[str]:
    slowest, fastest = told["spread"]
    share, alike = told.get("of_limit"), told.get("same_text")
    return [
        str(told["prompts"]),
        f"{told['tokens_per_s']:,.1f}",
        f"{slowest:,.1f} to {fastest:,.1f}",
        f"{told['tokens_per_core_s']:,.1f}",
        "" if share is None else f"{share:.0%}",
        "" if alike is None else f"{alike:.0%}",
        f"{told['cold_s']:.1f}",
    ]


def _line(way: str, *cells: str) -> str:
    return f"{way:28}" + "".join(f"{cell:>20}" if " to " in cell else f"{cell:>13}" for cell in cells)
