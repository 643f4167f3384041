"""What a model takes of a GPU, and what Spark gives an executor: what a placement is decided by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from engine.device import LEAST_TOKENS, TOKEN_BYTES, Gpu

#: The part of a GPU's memory that is planned with. Texts that are written need room for keys and values beside it.
SHARE: Final = 0.9
_SHARE_WRITING: Final = 0.7
#: What a process takes of a GPU before it holds a tensor: CUDA's context and its libraries' workspaces.
_CONTEXT: Final = 512 << 20
#: Layers don't divide evenly: what a model that is spread takes on its GPUs, by its weights.
_UNEVEN: Final = 1.1


@dataclass(frozen=True, kw_only=True)
class Executor:
    """What Spark gives an executor.

    Args:
        cores: tasks of one core that it runs at once; None where that is not known.
        gpus: that Spark hands out to its tasks; 0 where it hands out none, whatever the host has.
    """

    cores: int | None
    gpus: int


@dataclass(frozen=True, kw_only=True)
class Footprint:
    """What a model takes, in bytes.

    Args:
        weights: as it is loaded; hidden: size of a hidden state.
        writes: whether it writes texts, whose keys and values take all memory that is free.
        vllm: whether vLLM writes them.
        spreads: whether its task runs with a model whose layers lie on several devices (``Task.spreads``).
    """

    weights: int
    hidden: int
    writes: bool = False
    vllm: bool = False
    spreads: bool = False

    @property
    def alone(self) -> bool:
        """Whether it can't share a GPU with another process."""
        return self.writes or self.vllm

    @property
    def working(self) -> int:
        """Beside the weights: a process's own, and the smallest micro-batch."""
        return _CONTEXT + LEAST_TOKENS * TOKEN_BYTES * max(self.hidden, 1)

    def room(self, gpu: Gpu, tasks: int = 1) -> int:
        """For weights, on a GPU that so many tasks share."""
        share = _SHARE_WRITING if self.writes else SHARE
        return max(0, int(share * gpu.memory) // tasks - self.working)

    def fits(self, gpu: Gpu, gpus: int = 1) -> bool:
        """Whether so many GPUs hold it."""
        return self.weights * (_UNEVEN if gpus > 1 else 1) <= gpus * self.room(gpu)

    @property
    def needs(self) -> str:
        """In a sentence."""
        return f"this one takes {gib(self.weights)} of weights and at least {gib(self.working)} beside them"


def gib(nbytes: int) -> str:
    """Bytes as a person reads them."""
    return f"{nbytes / (1 << 30):.1f} GiB"
