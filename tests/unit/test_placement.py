"""How a model lies on GPUs: a table of models and executors, and what each gets and why."""

from __future__ import annotations

from typing import Any

import pytest

from engine.device import Gpu, Hardware
from engine.errors import DeviceError, ParameterError
from engine.footprint import Executor, Footprint
from engine.options import Compute
from engine.placement import Placement, place, tokens_beside, warnings

GIB = 1 << 30
A100 = Gpu("NVIDIA A100", (8, 0), 40 * GIB)
FOUR = Executor(cores=16, gpus=4)

#: A small encoder: 0.7 GiB with a context of 0.5 and 2,048 tokens of 384 numbers.
SMALL = Footprint(weights=GIB // 20, hidden=384, spreads=True)
#: 7 billion numbers in bfloat16; 2 GiB for 2,048 tokens of 4,096 numbers, and a context.
SEVEN = Footprint(weights=14 * GIB, hidden=4096, spreads=True)


def host(*gpus: Gpu, memory: int = 64 * GIB) -> Hardware:
    return Hardware(cores=16, memory=memory, gpus=gpus)


def writing(weights: int, *, vllm: bool = False) -> Footprint:
    return Footprint(weights=weights, hidden=4096, writes=True, vllm=vllm, spreads=True)


def large(weights: int, *, spreads: bool = True) -> Footprint:
    return Footprint(weights=weights, hidden=4096, spreads=spreads)


def placed(model: Footprint, executor: Executor = FOUR, *, table_bytes: int | None = None, **asked: Any) -> Any:
    return place(model, Compute(**asked), host(A100), executor, table_bytes=table_bytes)


@pytest.mark.parametrize(
    ("model", "executor", "shown"),
    [
        (SEVEN, FOUR, "1 GPU a task, 4 cores each (its 14.0 GiB of weights fit NVIDIA A100)"),
        (SEVEN, Executor(cores=None, gpus=1), "1 GPU a task (its 14.0 GiB of weights fit NVIDIA A100)"),
        # 36 GiB less 2.5 hold 33.5; writing leaves 28 less 2.5 for weights, and keys and values have the rest.
        (large(33 * GIB), FOUR, "1 GPU a task, 4 cores each (its 33.0 GiB of weights fit NVIDIA A100)"),
        (
            large(70 * GIB),
            FOUR,
            "3 GPUs a task, 12 cores each (this one takes 70.0 GiB of weights and at least 2.5 GiB beside them, more "
            "than one NVIDIA A100 of 40.0 GiB)",
        ),
        (
            writing(70 * GIB),
            FOUR,
            "4 GPUs a task, 16 cores each (this one takes 70.0 GiB of weights and at least 2.5 GiB beside them, more "
            "than one NVIDIA A100 of 40.0 GiB)",
        ),
        (
            large(70 * GIB),
            Executor(cores=4, gpus=1),
            "1 GPU a task, 4 cores each, the other weights in the host's memory (this one takes 70.0 GiB of weights "
            "and at least 2.5 GiB beside them, more than one GPU of NVIDIA A100 of 40.0 GiB)",
        ),
        (
            SMALL,
            FOUR,
            "2 tasks a GPU, 2 cores each (its 0.0 GiB of weights are small for NVIDIA A100, and the table has work for "
            "each)",
        ),
    ],
)
def test_a_model_lies_as_it_fits(model: Footprint, executor: Executor, shown: str) -> None:
    assert str(placed(model, executor)) == shown


@pytest.mark.parametrize(
    ("cores", "table_bytes", "tasks"),
    [
        (64, None, 4),
        (64, 8 * 4 * (32 << 20), 4),
        (64, 3 * 4 * (32 << 20), 3),  # a window of 32 MiB for each task of the executor's four GPUs
        (64, 1000, 1),
        (24, None, 3),  # two cores a task
        (4, None, 1),
    ],
)
def test_a_small_model_shares_a_gpu_by_cores_and_rows(cores: int, table_bytes: int | None, tasks: int) -> None:
    found = placed(SMALL, Executor(cores=cores, gpus=4), table_bytes=table_bytes).value
    assert (found.tasks, found.cpus) == (tasks, max(1, cores // 4 // tasks))


def test_what_is_asked_for_is_taken() -> None:
    assert str(placed(SMALL, gpus_per_task=2)) == "2 GPUs a task, 8 cores each (asked for)"
    assert str(placed(SMALL, gpus_per_task=1)) == "1 GPU a task, 4 cores each (asked for)"
    assert str(placed(SMALL, tasks_per_gpu=1)) == "1 GPU a task, 4 cores each (its 0.0 GiB of weights fit NVIDIA A100)"
    assert str(placed(SEVEN, tasks_per_gpu=2)) == "2 tasks a GPU, 2 cores each (asked for)"


@pytest.mark.parametrize(
    ("model", "executor", "asked", "words"),
    [
        (SMALL, FOUR, {"gpus_per_task": 5}, "expected at most 4 GPUs a task, which is what Spark hands out"),
        (large(70 * GIB, spreads=False), FOUR, {}, "expected a model that fits one NVIDIA A100 of 40.0 GiB, this one"),
        (large(70 * GIB), Executor(cores=4, gpus=1), {"offload": False}, "or write compute.offload: true"),
        (writing(140 * GIB, vllm=True), FOUR, {}, "or write compute.backend: transformers"),
        (large(800 * GIB), FOUR, {}, "expected a model that fits 4 GPUs of .* and the host's 64.0 GiB of memory"),
        (SEVEN, FOUR, {"tasks_per_gpu": 3}, "expected a model that 3 tasks can each have on a NVIDIA A100 of 40.0 GiB"),
        (SEVEN, Executor(cores=4, gpus=0), {}, "that 4 tasks, which run at once here, can each have"),
        (large(70 * GIB), Executor(cores=1, gpus=0), {}, "Spark hands out no GPUs here: where it does"),
        (writing(GIB, vllm=True), Executor(cores=4, gpus=0), {}, "expected one task at once for vLLM"),
    ],
)
def test_what_can_not_fit_is_refused(model: Footprint, executor: Executor, asked: Any, words: str) -> None:
    with pytest.raises(DeviceError, match=words):
        placed(model, executor, **asked)


def test_what_a_task_does_not_do_is_refused() -> None:
    with pytest.raises(ParameterError, match="expected tasks_per_gpu auto or 1 for a task that writes texts"):
        placed(writing(GIB), tasks_per_gpu=2)
    with pytest.raises(ParameterError, match="expected gpus_per_task auto or 1 for a task whose model lies on one"):
        placed(large(GIB, spreads=False), gpus_per_task=2)
    with pytest.raises(ParameterError, match="expected a task to own GPUs or to share one"):
        Compute(gpus_per_task=2, tasks_per_gpu=2)


def test_the_smallest_gpu_counts() -> None:
    small = Gpu("NVIDIA A10", (8, 6), 24 * GIB)
    found = place(large(30 * GIB), Compute(), host(A100, small), Executor(cores=8, gpus=2))
    assert (found.value.gpus, found.value.room) == (2, int(0.9 * 24 * GIB) - (GIB // 2) - 2 * GIB)


def test_tasks_that_share_what_spark_does_not_hand_out() -> None:
    found = placed(SMALL, Executor(cores=8, gpus=0))
    assert found.value == Placement(tasks=8, scheduled=False)
    assert found.reason == "Spark hands out no GPUs, so all tasks of a host share one"


@pytest.mark.parametrize(
    ("placement", "amount", "at_once"),
    [
        (Placement(cpus=4), 1.0, 4),
        (Placement(tasks=3, cpus=1), 0.3333, 12),
        (Placement(gpus=2, cpus=8), 2.0, 2),
        (Placement(gpus=3, cpus=12), 3.0, 1),
        (Placement(tasks=16, scheduled=False), 0.0625, 16),
    ],
)
def test_what_spark_is_asked_for(placement: Placement, amount: float, at_once: int) -> None:
    assert placement.gpu_amount == amount
    assert int(1 / amount) == placement.tasks or placement.gpus > 1
    assert placement.at_once(FOUR) == at_once


def test_a_micro_batch_is_as_large_as_the_tasks_part_of_a_gpu() -> None:
    def tokens(placement: Placement | None, weights: int) -> int:
        return tokens_beside(placement, "auto", host(A100), "cuda:0", hidden=4096, weight_bytes=weights).value

    each = 64 * 4 * 4096
    assert tokens(None, 8 * GIB) == tokens(Placement(), 8 * GIB) == 32 * GIB // 4 // each
    assert tokens(Placement(tasks=2), 8 * GIB) == 12 * GIB // 4 // each
    assert tokens(Placement(gpus=2, room=24 * GIB), 40 * GIB) == 16 * GIB // 4 // each


def test_devices_of_a_task() -> None:
    both = host(A100, A100, A100)
    assert Placement().devices("cuda:1", ("1",), both) == ("cuda:1",)
    assert Placement(gpus=2).devices("cuda:2", ("2", "0"), both) == ("cuda:2", "cuda:0")
    with pytest.raises(DeviceError, match="expected 2 GPUs for this task, over which the driver spread the model"):
        Placement(gpus=2).devices("cuda:0", ("0",), both)
    with pytest.raises(DeviceError, match="Spark gave it 0, 1, of which the worker sees 1"):
        Placement(gpus=2).devices("cuda:0", ("0", "1"), host(A100))


def test_whether_another_dtype_finds_room() -> None:
    assert Placement().holds(36 * GIB, host(A100))
    assert not Placement().holds(37 * GIB, host(A100))
    assert not Placement(tasks=2).holds(19 * GIB, host(A100))
    assert not Placement(gpus=2, room=30 * GIB).holds(GIB, host(A100))


@pytest.mark.parametrize(
    ("placement", "executor", "words"),
    [
        (Placement(cpus=4), FOUR, []),
        (Placement(gpus=2, cpus=8, room=1, offload=True), FOUR, ["the GPUs do not hold all weights"]),
        (Placement(tasks=4, scheduled=False), Executor(cores=4, gpus=0), ["Spark hands out no GPUs here"]),
        (Placement(cpus=1), Executor(cores=2, gpus=4), ["executors have 4 GPUs, of which tasks use 2 at once"]),
        (Placement(gpus=3, cpus=12, room=1), FOUR, ["executors have 4 GPUs, of which tasks use 3 at once"]),
    ],
)
def test_what_to_look_at(placement: Placement, executor: Executor, words: list[str]) -> None:
    found = list(warnings(placement, executor))
    assert [text[: len(word)] for text, word in zip(found, words, strict=True)] == words
