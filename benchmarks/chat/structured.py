"""python -m benchmarks.chat.structured: what a schema costs, and whether what is written under it is valid.

Every prompt is answered under a JSON schema with nesting, enums and arrays, by the engine's chat task, in one process a
core with one thread. Then the first of them are answered again, by turns under the schema and without it, where each
row writes as many tokens as it had under it: the difference is what the grammar costs.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any, Final

from benchmarks.chat import models
from benchmarks.chat import rows as table
from benchmarks.chat.spec import Spec
from benchmarks.chat.team import Team
from benchmarks.command import Tell, carry_out
from benchmarks.machine import machine, versions
from engine.device import choose_device, detect

#: Share of the speed that a schema may cost.
ALLOWED: Final = 0.15
_LABEL: Final = {"enum": ["delivery", "quality", "price", "service", "other"]}
SCHEMA: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {
        "sentiment": {"enum": ["positive", "neutral", "negative"]},
        "product": {
            "type": "object",
            "properties": {"name": {"type": "string", "maxLength": 40}, "broken": {"type": "boolean"}},
            "required": ["name", "broken"],
            "additionalProperties": False,
        },
        "topics": {"type": "array", "items": _LABEL, "minItems": 1, "maxItems": 3},
        "steps": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"who": {"enum": ["shop", "customer"]}, "days": {"type": "integer"}},
                "required": ["who", "days"],
                "additionalProperties": False,
            },
            "maxItems": 2,
        },
    },
    "required": ["sentiment", "product", "topics", "steps"],
    "additionalProperties": False,
}
FORMAT: Final = {"type": "json_schema", "json_schema": {"name": "message", "schema": SCHEMA, "strict": True}}


def main(arguments: list[str] | None = None) -> None:
    asked = _parser().parse_args(arguments)
    if asked.quick:
        asked.prompts, asked.timed, asked.runs, asked.max_tokens = 6, 4, 1, 24
    carry_out(lambda tell: _measure(asked, tell), asked.save)


def _measure(asked: argparse.Namespace, tell: Tell) -> dict[str, Any]:
    report: dict[str, Any] = {
        "benchmark": "chat structured",
        "machine": machine(),
        "versions": versions(),
        "settings": {name: getattr(asked, name) for name in ("prompts", "timed", "runs", "max_tokens", "dtype")},
    }
    with tempfile.TemporaryDirectory(prefix="embercast-benchmark-") as name:
        folder = Path(name)
        os.environ["EMBERCAST_CACHE"] = str(folder / "cache")  # of the processes that are started
        tell("set-up: the model's folder and the chats are made")
        model = asked.model or models.chat_model(folder / "model", asked.size)
        report |= _answered(asked, model, folder, tell)
    print(
        f"{report['valid']} of {report['prompts']} answers are valid, {report['errors']} rows have an error:", end=" "
    )
    print(", ".join(f"{code} {count}" for code, count in report["codes"].items()) or "none")
    print(f"{report['tokens_per_s']:.1f} tokens/s under the schema,", end=" ")
    print(f"{report['tokens_per_s_without']:.1f} without it: {report['cost']:.1%} less, allowed are {ALLOWED:.0%}")
    return report


def _answered(asked: argparse.Namespace, model: Path, folder: Path, tell: Tell) -> dict[str, Any]:
    from transformers import AutoTokenizer

    made = table.rows(asked.prompts, AutoTokenizer.from_pretrained(model))
    ruled = {"max_tokens": asked.max_tokens, "response_format": FORMAT}
    whole = Team(_spec(asked, "whole", model, table.write(made, folder / "whole.json"), len(made), ruled))
    whole.run()
    whole.close()
    told = [whole.written[i] for i in range(len(made))]
    found = verdicts(told)
    tell(f"{found['valid']} of {len(made)} are valid")
    # Rows with an error wrote as many tokens as they might: their struct has no usage.
    timed = [replace(row, answer=one["tokens"] or asked.max_tokens) for row, one in zip(made, told, strict=True)]
    path = table.write(timed[: asked.timed], folder / "timed.json")
    count = min(asked.timed, len(timed))
    ways = {
        "tokens_per_s": Team(_spec(asked, "schema", model, path, count, ruled)),
        "tokens_per_s_without": Team(_spec(asked, "free", model, path, count, {})),
    }
    rates = _by_turns(ways, asked.runs, tell)
    speeds = {name: median(some) for name, some in rates.items()}
    cost = 1 - speeds["tokens_per_s"] / speeds["tokens_per_s_without"]
    return {"prompts": len(made), **found, **speeds, "runs": rates, "cost": cost, "allowed": ALLOWED}


def _by_turns(ways: Mapping[str, Team], runs: int, tell: Tell) -> dict[str, list[float]]:
    """Tokens per second of each pass; both write the same number of tokens."""
    rates: dict[str, list[float]] = {name: [] for name in ways}
    for way in ways.values():
        way.ready()
    for _ in range(runs):
        for name, way in ways.items():
            start = time.perf_counter()
            way.run()
            rates[name].append(sum(row.answer for row in way.rows) / (time.perf_counter() - start))
            tell(f"{name.replace('_', ' ')}: {rates[name][-1]:.1f}")
    for way in ways.values():
        way.close()
    return rates


def _spec(asked: argparse.Namespace, way: str, model: Path, rows: Path, count: int, options: Mapping[str, Any]) -> Spec:
    device = choose_device(asked.device, detect()).value.partition(":")[0]
    cores = detect().cores
    return Spec(
        way=way,
        kind="chat-task",
        rows=str(rows),
        count=count,
        model=str(model),
        dtype=asked.dtype,
        device=device,
        cores=cores,
        processes=cores if device == "cpu" else 1,  # as Spark runs it
        options=dict(options),
    )


def verdicts(told: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """How many answers without an error are valid, and how many rows have which error.

    Raises ValueError where an answer without an error is not valid: the engine promises that there is none.
    """
    from jsonschema import Draft202012Validator

    validator = Draft202012Validator(SCHEMA)
    codes = [one["code"] for one in told if one["code"] is not None]
    wrong = [one for one in told if one["code"] is None and not _valid(validator, one["text"])]
    if wrong:
        raise ValueError(f"{len(wrong)} of {len(told)} answers are not valid and have no error, the first: {wrong[0]}")
    counted = {code: codes.count(code) for code in sorted({*codes})}
    return {"valid": len(told) - len(codes), "errors": len(codes), "codes": counted}


def _valid(validator: Any, text: str) -> bool:
    try:
        return bool(validator.is_valid(json.loads(text)))
    except ValueError:
        return False


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.chat.structured", description=__doc__)
    add = parser.add_argument
    add("--prompts", type=int, default=500, help="chats answered under the schema")
    add("--timed", type=int, default=128, help="the first so many of them, answered with it and without by turns")
    add("--runs", type=int, default=2, help="timed passes of both")
    add("--max-tokens", type=int, default=160, help="of an answer: what is longer is an error of its row")
    add("--dtype", default="float32", help="auto, float32 or bfloat16")
    add("--device", default="cpu", choices=("auto", "cpu", "cuda"), help="cpu or cuda")
    add("--size", choices=tuple(models.SIZES), help="a model of random weights in place of SmolLM2")
    add("--model", type=Path, help="a saved model's folder in place of SmolLM2")
    add("--quick", action="store_true", help="a small smoke run, whose figures mean nothing")
    add("--save", type=Path, help="write the JSON there as well: benchmarks/results/<name>.json")
    return parser


if __name__ == "__main__":
    main()
