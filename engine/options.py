"""How to score: small frozen descriptions that the driver makes and the executors read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from engine.errors import ParameterError

DTYPES: Final = ("auto", "float32", "bfloat16", "float16")
BACKENDS: Final = ("auto", "transformers", "vllm")


@dataclass(frozen=True)
class Column:
    """A parameter whose value comes from this column of the row: ``{column: name}`` in YAML.

    Args:
        name: of the column.
        default: the value of rows in which the column is null; None takes what the model was logged with, else the
            task's own default.
    """

    name: str
    default: Any = None


@dataclass(frozen=True, kw_only=True)
class ExecutorRequest:
    """Executors that Spark starts for the stage that scores, beside those of the session.

    Args:
        gpus, cores: of each.
        memory: of its JVM, as ``4g``; None takes the session's.
        memory_overhead: beside the JVM, for the Python workers; None takes the session's.
        discovery_script: that names its GPUs, where the cluster does not.
        vendor: of the GPUs, on Kubernetes.
    """

    gpus: int
    cores: int
    memory: str | None = None
    memory_overhead: str | None = None
    discovery_script: str = ""
    vendor: str = ""


@dataclass(frozen=True, kw_only=True)
class Compute:
    """What to compute on. ``auto`` is decided in ``engine.device`` and ``engine.generation.choice``, with a reason.

    Args:
        dtype: auto, float32, bfloat16 or float16 of the weights and activations.
        device: auto, cpu, cuda or cuda:N.
        batch_tokens: padded tokens a micro-batch holds at most; ``auto`` chooses by device and model.
        threads: CPU threads a worker uses; ``auto`` is what Spark gave to the task.
        backend: auto, transformers or vllm: what writes the texts of a task that writes.
        gpus_per_task: GPUs that a task owns; ``auto`` takes as many as hold the model (``engine.placement``).
        tasks_per_gpu: tasks that share a GPU; ``auto`` is one, or a few where the model is small.
        offload: whether weights that the GPUs have no room for may stay in the host's memory.
        executor: what Spark starts for the stage that scores; None takes the session's executors.
        max_seconds_per_batch: after which a process that is still in one micro-batch ends itself, so that another one
            tries; None waits for ever. For processes that do nothing else, as Spark's workers.
        window_rows, window_bytes: bounds of the window within which rows are sorted and equal inputs are scored once.
    """

    dtype: str = "auto"
    device: str = "auto"
    batch_tokens: int | str = "auto"
    threads: int | str = "auto"
    backend: str = "auto"
    gpus_per_task: int | str = "auto"
    tasks_per_gpu: int | str = "auto"
    offload: bool = True
    executor: ExecutorRequest | None = None
    max_seconds_per_batch: float | None = None
    window_rows: int = 8192
    window_bytes: int = 32 << 20

    def __post_init__(self) -> None:
        if self.dtype not in DTYPES:
            raise ParameterError(f"expected dtype to be one of {', '.join(DTYPES)}; got {self.dtype!r}")
        if self.backend not in BACKENDS:
            raise ParameterError(f"expected backend to be one of {', '.join(BACKENDS)}; got {self.backend!r}")
        kind, _, index = self.device.partition(":")
        if kind not in ("auto", "cpu", "cuda") or (index and not (kind == "cuda" and index.isdecimal())):
            raise ParameterError(f"expected device to be auto, cpu, cuda or cuda:N; got {self.device!r}")
        for name in ("batch_tokens", "threads", "gpus_per_task", "tasks_per_gpu"):
            value = getattr(self, name)
            if value != "auto" and not _positive(value):
                raise ParameterError(f"expected {name} to be auto or a whole number above 0; got {value!r}")
        if self.executor is not None and self.device == "cpu":
            raise ParameterError(
                "expected device auto or cuda beside executors that are started for their GPUs; got cpu"
            )
        gpus, tasks = self.gpus_per_task, self.tasks_per_gpu
        if not {"auto", 1} & {gpus, tasks}:
            raise ParameterError(
                f"expected a task to own GPUs or to share one; got gpus_per_task {gpus} and tasks_per_gpu {tasks}: "
                "leave one of them out"
            )
        if self.max_seconds_per_batch is not None and not self.max_seconds_per_batch > 0:
            raise ParameterError(
                f"expected max_seconds_per_batch to be a number above 0; got {self.max_seconds_per_batch!r}"
            )
        for name in ("window_rows", "window_bytes"):
            if not _positive(getattr(self, name)):
                raise ParameterError(f"expected {name} to be a whole number above 0; got {getattr(self, name)!r}")


@dataclass(frozen=True, kw_only=True)
class Request:
    """What to score of a batch: column names by input role, and the task's parameters.

    Args:
        inputs: input role → column name.
        params: parameter → value, or ``Column`` where the value differs from row to row.
    """

    inputs: Mapping[str, str]
    params: Mapping[str, Any] = field(default_factory=dict)

    @property
    def columns(self) -> tuple[str, ...]:
        """Every column the engine reads, each once."""
        named = [*self.inputs.values(), *(v.name for v in self.params.values() if isinstance(v, Column))]
        return tuple(dict.fromkeys(named))


def _positive(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0
