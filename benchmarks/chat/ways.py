"""The ways that are measured, and which of them are neighbours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

#: How many of the prompts a way answers: those that are slow, a part.
ALL, HALF, QUARTER, FEW = "all", "half", "quarter", "few"


@dataclass(frozen=True, kw_only=True)
class Way:
    """A way of answering chats.

    Args:
        kind: what a process of it runs (``benchmarks.chat.member.KINDS``, or llama…); empty for a way in Spark.
        rows: which part of the prompts.
        options: of the kind.
        trials: options of which the best on a few prompts is taken, over ``options``.
    """

    kind: str = ""
    rows: str = ALL
    options: Mapping[str, Any] = field(default_factory=dict)
    trials: tuple[Mapping[str, Any], ...] = ()


#: Of ContinuousBatchingConfig. Without a flash kernel every token of a step attends to the keys of all requests,
#: masked: more requests at once fill the matrix products and waste the attention.
_CONTINUOUS: Final = tuple(
    {"page_size": 32, "num_blocks": 512, "max_batch_tokens": 256, "max_requests_per_batch": requests}
    for requests in (8, 16, 32)
)

#: The engine, then what it is measured against.
WAYS: Final[Mapping[str, Way]] = {
    "engine": Way(),
    "pipeline": Way(rows=FEW, options={"batch": 1}),
    "pipeline-batch8": Way(rows=FEW, options={"batch": 8}),
    "engine-alone": Way(kind="engine"),
    "static-16": Way(kind="static", rows=HALF, options={"batch": 16}),
    "static-32": Way(kind="static", rows=QUARTER, options={"batch": 32}),
    "sorted-32": Way(kind="static", rows=QUARTER, options={"batch": 32, "sorted": True}),
    "generate-batch": Way(kind="generate-batch", rows=HALF, trials=_CONTINUOUS),
    "llama-cpp": Way(kind="llama", rows=QUARTER),
    "llama-cpp-batch16": Way(kind="llama-batch", rows=HALF, options={"batch": 16}),
}
#: Measured by turns within a group, one group after another.
GROUPS: Final = (
    ("engine", "pipeline", "pipeline-batch8"),
    ("engine-alone", "static-16", "static-32", "sorted-32", "generate-batch"),
    ("llama-cpp", "llama-cpp-batch16"),
)
HALF_PRECISION: Final = "-bfloat16"
LLAMA: Final = tuple(name for name, way in WAYS.items() if way.kind.startswith("llama"))
#: What runs where there is neither Spark nor MLflow.
ALONE: Final = GROUPS[1]


def names(*, half: bool) -> tuple[str, ...]:
    """All ways in float32, and with ``half`` those of torch in bfloat16, too; llama.cpp has its own."""
    again = tuple(f"{name}{HALF_PRECISION}" for name in WAYS if name not in LLAMA)
    return (*WAYS, *(again if half else ()))


def plain(name: str) -> str:
    """A way's name without its dtype."""
    return name.removesuffix(HALF_PRECISION)


def count(part: str, prompts: int, few: int) -> int:
    """How many prompts a part has, of all and of those that the slowest answer."""
    return {ALL: prompts, HALF: -(-prompts // 2), QUARTER: -(-prompts // 4), FEW: min(few, prompts)}[part]
