"""What happens where memory is short, logits are no numbers, or a text goes on: every result once, and right."""

from __future__ import annotations

import dataclasses
import weakref
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch

from engine.continuous import lanes, scheduler
from engine.continuous.backend import ContinuousBackend
from engine.continuous.layout import Layer, Layout
from engine.continuous.limits import Limits
from engine.errors import RowError
from engine.generation import chooser
from engine.generation.backend import Decoding, Prompt, Result, Written
from tests import writers


@pytest.fixture(autouse=True)
def _lanes_for_every_beginning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scheduler, "_FEW", 2)


@pytest.fixture(scope="module")
def model() -> Any:
    return writers.model()


def written(results: Iterator[Result]) -> dict[int, Written]:
    return {one.id: one for one in results if isinstance(one, Written)}


def same_as_generate(model: Any, prompts: list[Prompt], texts: dict[int, Written]) -> None:
    assert texts.keys() == {prompt.id for prompt in prompts}
    for prompt in prompts:
        np.testing.assert_array_equal(texts[prompt.id].ids, writers.greedy(model, prompt)[0])


@pytest.mark.parametrize("few", [2, 99])
def test_rows_give_way_where_room_is_short_and_are_read_again(
    model: Any, few: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scheduler, "_FEW", few)  # beginnings in lanes of their own, or copied
    prompts = writers.prompts([40, 60, 30, 100, 5, 61], shared=20, most=120)
    backend = ContinuousBackend(model, None, limits=Limits(rows=6, piece=32, lane=4, tokens=500))
    same_as_generate(model, prompts, written(backend.generate(prompts)))


def test_a_row_that_finds_no_room_is_its_own_error(model: Any) -> None:
    prompts = writers.prompts([40, 300, 60, 100], most=30)
    backend = ContinuousBackend(model, None, limits=Limits(rows=6, piece=32, lane=4, tokens=260))
    results = list(backend.generate(prompts))
    [(failed, error)] = [one for one in results if not isinstance(one, Written)]
    assert (failed, error.code, error.retryable) == (1, "out_of_memory", True)
    assert "300 tokens" in error.message
    same_as_generate(model, [prompts[0], prompts[2], prompts[3]], written(iter(results)))


@pytest.mark.parametrize("at", [0, 1, 5, 9, 14, 22])
def test_memory_that_runs_out_in_a_step_costs_no_row(model: Any, monkeypatch: pytest.MonkeyPatch, at: int) -> None:
    prompts = writers.prompts([40, 60, 30, 100, 5, 61], shared=20, most=40)
    forward, calls = scheduler.Scheduler._forward, []

    def failing(self: Any, step: Any) -> Any:
        calls.append(step)
        if len(calls) in (at + 1, at + 2):
            raise torch.OutOfMemoryError("CUDA out of memory")
        return forward(self, step)

    monkeypatch.setattr(scheduler.Scheduler, "_forward", failing)
    backend = ContinuousBackend(model, None, limits=Limits(rows=6, piece=128, lane=4, tokens=1 << 12))
    same_as_generate(model, prompts, written(backend.generate(prompts)))


@pytest.mark.parametrize("at", [1, 2, 5, 9, 14, 22])
def test_memory_that_runs_out_for_the_choice_costs_no_row(model: Any, monkeypatch: pytest.MonkeyPatch, at: int) -> None:
    """The keys and values of the step are there by then: the rows that go on must not have them twice."""
    prompts = writers.prompts([40, 60, 30, 100, 5, 61], shared=20, most=40)
    choose, calls = chooser.Chooser.__call__, []

    def failing(self: Any, logits: Any, rows: Any) -> Any:
        calls.append(rows)
        if len(calls) == at:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return choose(self, logits, rows)

    monkeypatch.setattr(chooser.Chooser, "__call__", failing)
    backend = ContinuousBackend(model, None, limits=Limits(rows=6, piece=64, lane=4, tokens=1 << 12))
    same_as_generate(model, prompts, written(backend.generate(prompts)))


@pytest.mark.parametrize("at", [1, 2, 3, 4])
def test_memory_that_runs_out_for_a_larger_place_costs_no_row(
    model: Any, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    prompts = [
        Prompt(one.id, one.ids, Decoding(max_tokens=100)) for one in writers.prompts([40, 60, 30, 5, 61], shared=20)
    ]
    made = []

    class Failing(lanes.Lane):
        def __init__(self, *arguments: Any) -> None:
            made.append(1)
            if len(made) == at:
                raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 bytes")
            super().__init__(*arguments)

    monkeypatch.setattr(lanes, "Lane", Failing)
    backend = ContinuousBackend(model, None, limits=Limits(rows=6, piece=32, lane=4, tokens=1 << 12))
    same_as_generate(model, prompts, written(backend.generate(prompts)))
    assert len(made) >= at


def test_lanes_are_narrower_where_there_is_less_memory_than_was_planned(
    model: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Memory for 300 tokens in all, where 8,192 were planned: what runs goes on, and rows wait for room."""
    living: list[weakref.ref[Any]] = []

    class Bounded(lanes.Lane):
        def __init__(self, layout: Any, prefix: Any, capacity: int, width: int) -> None:
            held = sum(lane.width * lane.capacity for one in living if (lane := one()) is not None)
            if held + width * capacity > 300:
                raise torch.OutOfMemoryError("CUDA out of memory")
            super().__init__(layout, prefix, capacity, width)
            living.append(weakref.ref(self))

    monkeypatch.setattr(lanes, "Lane", Bounded)
    prompts = writers.prompts([40, 60, 30, 100, 5, 61, 20, 50], most=40)
    backend = ContinuousBackend(model, None, limits=Limits(rows=8, piece=64, lane=8, tokens=1 << 13))
    same_as_generate(model, prompts, written(backend.generate(prompts)))


def test_a_row_that_takes_all_memory_leaves_the_others_together(model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    prompts = writers.prompts([40, 300, 60, 100, 30], most=30)
    forward, together = scheduler.Scheduler._forward, []

    def failing(self: Any, step: Any) -> Any:
        if any(300 in (len(one.ids), one.length) for one in [*self.reading, *self.writing]):
            together.clear()
            raise torch.OutOfMemoryError("CUDA out of memory")
        together.append(len(step.rows))
        return forward(self, step)

    monkeypatch.setattr(scheduler.Scheduler, "_forward", failing)
    backend = ContinuousBackend(model, None, limits=Limits(rows=6, piece=128, lane=4, tokens=1 << 12))
    results = list(backend.generate(prompts))
    [(failed, error)] = [one for one in results if not isinstance(one, Written)]
    assert (failed, error.code) == (1, "out_of_memory")
    same_as_generate(model, [prompts[at] for at in (0, 2, 3, 4)], written(iter(results)))
    assert max(together) > 2


def test_a_beginning_whose_rows_wait_gives_way_to_a_row_that_needs_its_room(model: Any) -> None:
    """Two beginnings are read, every row outgrows its place, and beside both there is no room for a larger one."""
    pairs = [*writers.prompts([110, 110], shared=100, seed=1), *writers.prompts([110, 110], shared=100, seed=2)]
    prompts = [Prompt(at, one.ids, Decoding(max_tokens=150)) for at, one in enumerate(pairs)]
    backend = ContinuousBackend(model, None, limits=Limits(rows=3, piece=64, lane=4, tokens=400))
    same_as_generate(model, prompts, written(backend.generate(prompts)))


def test_one_row_that_never_fits_the_memory_is_an_error(model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(self: Any, step: Any) -> Any:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(scheduler.Scheduler, "_forward", failing)
    [(at, error)] = ContinuousBackend(model, None, layout=layout()).generate(writers.prompts([5]))  # type: ignore[misc]
    assert at == 0
    assert isinstance(error, RowError)
    assert error.code == "out_of_memory"


def layout() -> Layout:
    return Layout((Layer(2, 8, 8), Layer(2, 8, 8)), torch.float32, "cpu")


def test_another_error_is_raised(model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(self: Any, step: Any) -> Any:
        raise RuntimeError("shapes")

    monkeypatch.setattr(scheduler.Scheduler, "_forward", failing)
    with pytest.raises(RuntimeError, match="shapes"):
        list(ContinuousBackend(model, None, layout=layout()).generate(writers.prompts([5])))


def test_a_row_without_numbers_spoils_no_other_and_no_place() -> None:
    model = writers.model()
    prompts = writers.prompts([30, 20, 40, 10, 25], most=20)
    seen = {int(token) for one in prompts for token in [*one.ids, *writers.greedy(model, one)[0]]}
    bad = min(set(range(3, writers.VOCABULARY)) - seen)
    with torch.no_grad():
        model.model.embed_tokens.weight[bad] = float("nan")
    prompts[1].ids[-1] = bad
    backend = ContinuousBackend(model, None, limits=Limits(rows=2, piece=32, lane=2, tokens=1 << 12))
    results = list(backend.generate(prompts))
    [(at, error)] = [one for one in results if not isinstance(one, Written)]
    assert (at, error.code) == (1, "non_finite")
    same_as_generate(model, [prompts[at] for at in (0, 2, 3, 4)], written(iter(results)))


def test_a_text_that_goes_on_keeps_what_was_read(model: Any) -> None:
    """Three turns: each prompt is the one before, what was written after it, and more."""
    begun = writers.prompts([40, 12, 60, 33], shared=10, most=30)
    turns: dict[int, list[tuple[Prompt, Written]]] = {prompt.id: [] for prompt in begun}
    asked = {prompt.id: prompt for prompt in begun}

    def follow(text: Written) -> Prompt | None:
        turns[text.id].append((asked[text.id], text))
        if len(turns[text.id]) == 3:
            return None
        more = np.random.default_rng(text.id).integers(3, writers.VOCABULARY, 70)
        ids = np.concatenate([asked[text.id].ids, text.ids, more])
        asked[text.id] = Prompt(text.id, ids, Decoding(max_tokens=9, ends=(writers.END,)))
        return asked[text.id]

    backend = ContinuousBackend(model, None, limits=Limits(rows=3, piece=32, lane=2, tokens=1 << 12))
    results = list(backend.generate(begun, follow))
    assert len(results) == 12
    for parts in turns.values():
        for before, (prompt, text) in zip([None, *parts], parts, strict=False):
            np.testing.assert_array_equal(text.ids, writers.greedy(model, prompt)[0])
            if before is not None:  # all but the last token that was written had been read
                assert text.cached_tokens == len(before[0].ids) + len(before[1].ids) - 1


def test_nothing_to_write_and_too_much(model: Any) -> None:
    short = writers.prompts([5])[0].ids
    nothing, much = Prompt(0, short, Decoding(max_tokens=0)), Prompt(1, short, Decoding(max_tokens=4092))
    results = list(ContinuousBackend(model, None, layout=layout()).generate([nothing, much]))
    [text] = [one for one in results if isinstance(one, Written)]
    assert (text.id, text.ids.tolist(), text.finish_reason, text.logprob) == (0, [], "length", 0.0)
    [(at, error)] = [one for one in results if not isinstance(one, Written)]
    assert (at, error.code) == (1, "too_long")
    assert "4096" in error.message


def test_the_longest_begin_first(model: Any) -> None:
    ids = writers.prompts([5])[0].ids
    prompts = [Prompt(at, ids, Decoding(max_tokens=most)) for at, most in enumerate([3, 30, 1, 12])]
    backend = ContinuousBackend(model, None, limits=Limits(rows=1, piece=32, lane=1, tokens=1 << 12))
    assert [one.id for one in backend.generate(prompts) if isinstance(one, Written)] == [1, 3, 0, 2]


def test_room_is_what_memory_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    from engine.continuous import layout as module

    monkeypatch.setattr(module, "available", lambda: 4 << 20)
    one = layout()
    assert one.token_bytes == 2 * 2 * (8 + 8) * 4
    assert one.room(1) == (2 << 20) // 256
    assert one.room(2) == (1 << 20) // 256


def test_room_on_a_gpu_is_what_the_device_and_torch_have_free(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second call finds the memory that the first one gave back in torch's hands."""
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (1 << 20, 8 << 20))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda device: 6 << 20)
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda device: 3 << 20)
    on_gpu = dataclasses.replace(layout(), device="cuda:0")
    assert on_gpu.room(1) == int(0.85 * (4 << 20)) // 256
