"""Another function in place of torch's: within the block, in this thread."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import torch

from engine.voice.instead import instead


def test_the_replacement_is_called_within_the_block_alone() -> None:
    with instead({torch.randn: lambda *shape: torch.full(shape, 7.0)}):
        assert torch.randn(2, 3).tolist() == [[7.0] * 3] * 2
        assert torch.ones(1).tolist() == [1.0]
    assert torch.randn(2).tolist() != [7.0, 7.0]


def test_a_module_calls_it_too_and_it_may_call_what_it_replaces() -> None:
    layer = torch.nn.Conv1d(1, 1, 1, bias=False)
    torch.nn.init.ones_(layer.weight)
    with torch.inference_mode(), instead({torch.conv1d: lambda x, *rest: torch.conv1d(2 * x, *rest)}):
        assert layer(torch.ones(1, 1, 2)).tolist() == [[[2.0, 2.0]]]


def test_other_threads_do_not() -> None:
    with instead({torch.zeros: lambda *shape: torch.ones(*shape)}), ThreadPoolExecutor(1) as threads:
        assert threads.submit(lambda: torch.zeros(1).tolist()).result() == [0.0]
        assert torch.zeros(1).tolist() == [1.0]
