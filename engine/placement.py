"""Where a model lies: how many GPUs a task owns, how many tasks share one, and what stays in the host's memory.

Decided on the driver, before a row is read, of the model's size, the GPU's memory, what Spark gives an executor and the
size of the table; ``embercast plan`` shows it with its reason. What can't fit is refused here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from engine.device import Choice, Gpu, Hardware, choose_batch_tokens, choose_device
from engine.errors import DeviceError, ParameterError
from engine.footprint import SHARE, Executor, Footprint, gib
from engine.options import Compute

#: Weights of a model that is small: a batch of it takes so few milliseconds that Python's part of the time counts, and
#: another process can use the GPU meanwhile.
_SMALL: Final = 1 << 30
#: Tasks that share a GPU at most: each has a context and a copy of the weights there. A task has one thread that
#: encodes and one that computes.
_MOST: Final = 4
_CORES: Final = 2


@dataclass(frozen=True, kw_only=True)
class Placement:
    """What one task asks Spark for, and how its model lies there. Picklable.

    Args:
        gpus: that the task owns; tasks: that share one.
        cpus: cores of the task; None leaves ``spark.task.cpus``.
        room: bytes of weights on each of its GPUs, where the model is spread; 0 where it lies on one whole.
        offload: whether weights that find no room stay in the host's memory and are copied as they are needed.
        scheduled: whether Spark hands the GPUs out; without, every task takes the first one that it sees.
    """

    gpus: int = 1
    tasks: int = 1
    cpus: int | None = None
    room: int = 0
    offload: bool = False
    scheduled: bool = True

    def __str__(self) -> str:
        lies = "1 GPU a task" if self.gpus == 1 else f"{self.gpus} GPUs a task"
        if self.tasks > 1:
            lies = f"{self.tasks} tasks a GPU"
        cores = "" if self.cpus is None else f", {self.cpus} {'core' if self.cpus == 1 else 'cores'} each"
        return lies + cores + (", the other weights in the host's memory" if self.offload else "")

    @property
    def spread(self) -> bool:
        """Whether the model's layers lie on several devices."""
        return self.room > 0

    @property
    def gpu_amount(self) -> float:
        """What Spark calls it: ``spark.task.resource.gpu.amount``. It runs the whole part of 1 / amount tasks a GPU."""
        return float(self.gpus) if self.tasks == 1 else int(10_000 / self.tasks) / 10_000

    def at_once(self, executor: Executor) -> int | None:
        """Tasks that an executor runs at once; None where that is not known."""
        if executor.cores is None:
            return None
        by_cores = executor.cores // (self.cpus or 1)
        return max(1, min(by_cores, executor.gpus * self.tasks // self.gpus) if self.scheduled else by_cores)

    def holds(self, weights: int, hardware: Hardware) -> bool:
        """Whether one of its tasks has room on a whole GPU for so many bytes of weights."""
        return not self.spread and weights <= SHARE * min(gpu.memory for gpu in self.share(hardware).gpus)

    def share(self, hardware: Hardware) -> Hardware:
        """The hardware as one of the tasks has it: a part of each GPU's memory."""
        return replace(hardware, gpus=tuple(replace(gpu, memory=gpu.memory // self.tasks) for gpu in hardware.gpus))

    def devices(self, first: str, addresses: tuple[str, ...], hardware: Hardware) -> tuple[str, ...]:
        """The devices of a task, of which ``first`` was chosen for it. Runs in the worker.

        Raises DeviceError where Spark gave the task fewer GPUs than the driver planned with.
        """
        if self.gpus == 1:
            return (first,)
        if len(addresses) < self.gpus:
            raise DeviceError(
                f"expected {self.gpus} GPUs for this task, over which the driver spread the model; Spark gave it "
                f"{len(addresses)}: score gives its stage a profile, a UDF needs a session that is started with "
                f"spark.task.resource.gpu.amount={self.gpus}"
            )
        found = tuple(choose_device("auto", hardware, address=one).value for one in addresses[: self.gpus])
        if len(set(found)) < self.gpus:
            raise DeviceError(
                f"expected {self.gpus} GPUs for this task, Spark gave it {', '.join(addresses)}, of which the worker "
                f"sees {len(hardware.gpus)}: let the discovery script name what its container shows"
            )
        return found


def place(
    model: Footprint, asked: Compute, hardware: Hardware, executor: Executor, *, table_bytes: int | None = None
) -> Choice[Placement]:
    """How a model lies on the GPUs of an executor. Runs on the driver.

    Args:
        model: what it takes.
        asked: ``gpus_per_task``, ``tasks_per_gpu`` and ``offload``; the window by which the table is measured.
        hardware: what a worker sees: GPUs, and the host's memory.
        executor: what Spark gives out.
        table_bytes: of the rows to score; None where that is not known.

    Raises DeviceError for what can't fit, ParameterError for what the model's task does not do.
    """
    gpu = min(hardware.gpus, key=lambda one: one.memory)
    _check(model, asked, executor)
    if not executor.gpus:
        return _unscheduled(model, asked, gpu, executor)
    if asked.tasks_per_gpu != "auto" and asked.tasks_per_gpu != 1:
        return _shared(model, int(asked.tasks_per_gpu), "asked for", gpu, executor)
    counts = range(1, executor.gpus + 1) if asked.gpus_per_task == "auto" else (int(asked.gpus_per_task),)
    found = next((count for count in counts if model.fits(gpu, count)), None)
    if found == 1:
        tasks = _tasks(model, asked, gpu, executor, table_bytes)
        if tasks > 1:
            reason = f"its {gib(model.weights)} of weights are small for {gpu.name}, and the table has work for each"
            return _shared(model, tasks, reason, gpu, executor)
        why = "asked for" if asked.gpus_per_task == 1 else f"its {gib(model.weights)} of weights fit {gpu.name}"
        return Choice(Placement(cpus=_cpus(executor, 1, 1)), why)
    if found is not None and model.spreads:
        why = "asked for" if asked.gpus_per_task == found else f"{model.needs}, more than one {_of(gpu)}"
        return Choice(Placement(gpus=found, cpus=_cpus(executor, found, 1), room=model.room(gpu)), why)
    return _offloaded(model, asked, counts[-1], gpu, hardware, executor)


def tokens_beside(
    placement: Placement | None, asked: int | str, hardware: Hardware, device: str, *, hidden: int, weight_bytes: int
) -> Choice[int]:
    """Padded tokens of a micro-batch, by the memory that a task has beside its weights (``engine.device``)."""
    if placement is not None:
        hardware = placement.share(hardware)
        weight_bytes = min(weight_bytes, placement.room) if placement.spread else weight_bytes
    return choose_batch_tokens(asked, hardware, device, hidden=hidden, weight_bytes=weight_bytes)


def warnings(placement: Placement, executor: Executor) -> Iterator[str]:
    """What a person should look at before a run."""
    if placement.offload:
        yield (
            "the GPUs do not hold all weights: the others are copied from the host's memory for every micro-batch, "
            "which is many times slower. Give the executors more GPUs, or larger ones"
        )
    if not placement.scheduled:
        yield (
            "Spark hands out no GPUs here, so all tasks of a host share its first one. On a cluster set "
            "spark.executor.resource.gpu.amount (docs/gpus.md)"
        )
        return
    tasks = placement.at_once(executor)
    used = executor.gpus if tasks is None else min(executor.gpus, tasks * placement.gpus)
    if placement.tasks == 1 and used < executor.gpus:
        yield (
            f"executors have {executor.gpus} GPUs, of which tasks use {used} at once ({placement}): match "
            "spark.executor.cores and spark.executor.resource.gpu.amount"
        )


def _check(model: Footprint, asked: Compute, executor: Executor) -> None:
    if model.alone and asked.tasks_per_gpu not in ("auto", 1):
        raise ParameterError(
            f"expected tasks_per_gpu auto or 1 for a task that writes texts, whose keys and values take all of a GPU's "
            f"memory; got {asked.tasks_per_gpu}"
        )
    if asked.gpus_per_task == "auto":
        return
    if int(asked.gpus_per_task) > max(1, executor.gpus):
        raise DeviceError(
            f"expected at most {executor.gpus} GPUs a task, which is what Spark hands out in an executor; got "
            f"{asked.gpus_per_task}: set spark.executor.resource.gpu.amount"
        )
    if int(asked.gpus_per_task) > 1 and not model.spreads:
        raise ParameterError(
            f"expected gpus_per_task auto or 1 for a task whose model lies on one device; got {asked.gpus_per_task}"
        )


def _tasks(model: Footprint, asked: Compute, gpu: Gpu, executor: Executor, table_bytes: int | None) -> int:
    """Tasks that share a GPU: where the model is small, and there are cores and rows for each."""
    if asked.tasks_per_gpu != "auto" or asked.gpus_per_task != "auto" or model.alone or not model.weights:
        return 1
    if model.weights > _SMALL or executor.cores is None:
        return 1
    most = [
        _MOST,
        executor.cores // executor.gpus // _CORES,
        int(SHARE * gpu.memory) // (2 * (model.weights + model.working)),
    ]
    if table_bytes is not None:
        most.append(table_bytes // asked.window_bytes // executor.gpus)
    return max(1, min(most))


def _shared(model: Footprint, tasks: int, reason: str, gpu: Gpu, executor: Executor) -> Choice[Placement]:
    if model.weights > model.room(gpu, tasks):
        raise DeviceError(
            f"expected a model that {tasks} tasks can each have on a {_of(gpu)}, {model.needs}: lower tasks_per_gpu"
        )
    return Choice(Placement(tasks=tasks, cpus=_cpus(executor, 1, tasks)), reason)


def _offloaded(
    model: Footprint, asked: Compute, gpus: int, gpu: Gpu, hardware: Hardware, executor: Executor
) -> Choice[Placement]:
    held = gpus * model.room(gpu)
    where = f"{_gpus(gpus)} of {_of(gpu)}"
    if not model.spreads:
        raise DeviceError(
            f"expected a model that fits one {_of(gpu)}, {model.needs}, and its task runs on one device: take a "
            "smaller model or dtype, or larger GPUs"
        )
    if model.vllm:
        raise DeviceError(
            f"expected a model that vLLM can hold on {where}, {model.needs}: give the executors more GPUs "
            "(spark.executor.resource.gpu.amount), or write compute.backend: transformers"
        )
    if not asked.offload or held <= 0:
        raise DeviceError(
            f"expected a model that fits {where}, {model.needs}: give the executors more GPUs "
            "(spark.executor.resource.gpu.amount), take a smaller dtype or model, or write compute.offload: true"
        )
    if model.weights - held > SHARE * hardware.memory:
        raise DeviceError(
            f"expected a model that fits {where} and the host's {gib(hardware.memory)} of memory, {model.needs}: "
            "give the executors more of both, or take a smaller dtype or model"
        )
    placed = Placement(gpus=gpus, cpus=_cpus(executor, gpus, 1), room=model.room(gpu), offload=True)
    return Choice(placed, f"{model.needs}, more than {where}")


def _unscheduled(model: Footprint, asked: Compute, gpu: Gpu, executor: Executor) -> Choice[Placement]:
    tasks = executor.cores or 1
    if model.vllm and tasks > 1:
        raise DeviceError(
            f"expected one task at once for vLLM, which takes a GPU for itself; {tasks} run here, and Spark hands out "
            "no GPUs: run one at once (a master local[1,4]), or let Spark hand them out "
            "(spark.executor.resource.gpu.amount)"
        )
    if model.weights > model.room(gpu):
        raise DeviceError(
            f"expected a model that fits one {_of(gpu)}, {model.needs}. Spark hands out no GPUs here: where it does "
            "(spark.executor.resource.gpu.amount), a model may lie on several"
        )
    if model.weights > model.room(gpu, tasks):
        raise DeviceError(
            f"expected a model that {tasks} tasks, which run at once here, can each have on a {_of(gpu)}, "
            f"{model.needs}: Spark hands out no GPUs, so they share it. Run fewer at once (a master local[1,4]), or "
            "let Spark hand them out (spark.executor.resource.gpu.amount)"
        )
    return Choice(Placement(tasks=tasks, scheduled=False), "Spark hands out no GPUs, so all tasks of a host share one")


def _cpus(executor: Executor, gpus: int, tasks: int) -> int | None:
    """A task's part of the executor's cores, by its part of the GPUs: they feed them."""
    return None if executor.cores is None else max(1, executor.cores * gpus // executor.gpus // tasks)


def _of(gpu: Gpu) -> str:
    return f"{gpu.name} of {gib(gpu.memory)}"


def _gpus(count: int) -> str:
    return "one GPU" if count == 1 else f"{count} GPUs"
