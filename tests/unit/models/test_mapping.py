"""One copy of the weights a host: what the operating system says of worker processes that hold the same model."""

from __future__ import annotations

import multiprocessing
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

from engine.models.bundle import WEIGHTS, Bundle, make_bundle
from engine.models.registry import resolve
from tests import tiny

WORKERS: Final = 4
#: What a worker may hold of its own besides the libraries: the modules' Python objects and the allocator's slack.
BOUND: Final = 24 << 20
TEXTS: Final = [" ".join(tiny.WORDS[:60])] * 8


@dataclass(frozen=True)
class Held:
    """What one process holds, in bytes: of its parameters, inside the file's mapping, its Pss, and its own memory."""

    parameters: int
    inside: int
    pss: int
    private: int


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """67 MB in bfloat16: a second copy can't be taken for noise."""
    home = tmp_path_factory.mktemp("mapping")
    sizes = {"vocab_size": 40_000, "hidden_size": 512, "num_hidden_layers": 4, "num_attention_heads": 8}
    folder = tiny.save(home / "model", num_labels=2, intermediate_size=2048, **sizes)
    return make_bundle(resolve(str(folder)), "bfloat16", root=home)


def test_the_workers_of_a_host_share_one_copy(bundle: Bundle) -> None:
    *workers, idle = held_at_once(bundle, ["model"] * WORKERS + ["none"])
    print(*workers, idle, sep="\n")  # shown by pytest -s: 10 MB above the libraries in torch 2.13
    copy = bundle.manifest.weight_bytes
    assert copy > 60 << 20
    for worker in workers:
        assert worker.parameters == pytest.approx(copy, rel=0.01)  # the bundle holds a few buffers as well
        assert worker.inside >= 0.99 * worker.parameters
        assert worker.private <= idle.private + BOUND
    # Every worker has read every weight, so all of one copy is there, and no more.
    assert 0.95 * copy <= sum(worker.pss for worker in workers) <= 1.2 * copy


def test_a_model_that_is_cast_after_loading_is_caught(bundle: Bundle) -> None:
    """The same measurement on what must not happen: weights copied out of the mapping."""
    cast, idle = held_at_once(bundle, ["cast", "none"])
    assert cast.inside == 0
    assert cast.private > idle.private + BOUND
    assert cast.private >= idle.private + 0.9 * cast.parameters


def held_at_once(bundle: Bundle, kinds: list[str]) -> list[Held]:
    """A process for each kind; all measure at a moment when all of them hold what they hold."""
    context = multiprocessing.get_context("spawn")
    everyone = context.Barrier(len(kinds), timeout=300)
    pipes = [context.Pipe(duplex=False) for _ in kinds]
    workers = [
        context.Process(target=hold, args=(kind, str(bundle.path), everyone, answer), daemon=True)
        for kind, (_, answer) in zip(kinds, pipes, strict=True)
    ]
    for worker in workers:
        worker.start()
    for _, answer in pipes:
        answer.close()  # so that a dead worker ends the reading below
    try:
        return [question.recv() for question, _ in pipes]
    finally:
        for worker in workers:
            worker.join()


def hold(kind: str, path: str, everyone: Any, answer: Any) -> None:
    """Runs in a worker process: loads (or only imports and computes), then measures."""
    import torch

    torch.set_num_threads(1)
    try:
        kept = _without_model(path) if kind == "none" else _with_model(path, cast=kind == "cast")
        everyone.wait()
        answer.send(measure(kept, os.path.join(path, WEIGHTS)))
        everyone.wait()
    except BaseException:
        everyone.abort()
        raise


def _with_model(path: str, *, cast: bool) -> list[Any]:
    from engine.models.load import load

    loaded = load(Path(path), "cpu")
    if cast:
        loaded.model.float()
    inputs = loaded.tokenizer(TEXTS, padding=True, truncation=True, return_tensors="pt")
    assert loaded(**inputs).logits.shape == (len(TEXTS), 2)
    for parameter in loaded.model.parameters():
        parameter.max()
    return list(loaded.model.parameters())


def _without_model(path: str) -> list[Any]:
    """The same libraries and like-sized work, without a model."""
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer, BertForSequenceClassification

    assert AutoModelForSequenceClassification
    assert BertForSequenceClassification
    tokenizer = AutoTokenizer.from_pretrained(os.path.join(path, "tokenizer"))
    inputs = tokenizer(TEXTS, padding=True, truncation=True, return_tensors="pt")
    states = torch.ones(*inputs["input_ids"].shape, 512, dtype=torch.bfloat16)
    torch.nn.functional.linear(states, torch.ones(2048, 512, dtype=torch.bfloat16))
    return []


def measure(parameters: list[Any], file: str) -> Held:
    ranges = [(start, end) for start, end, _ in mappings(file)]
    sizes = [(p.data_ptr(), p.numel() * p.element_size()) for p in parameters]
    return Held(
        parameters=sum(size for _, size in sizes),
        inside=sum(size for at, size in sizes if any(start <= at and at + size <= end for start, end in ranges)),
        pss=sum(pss for _, _, pss in mappings(file)),
        private=_private(),
    )


def mappings(file: str) -> Iterator[tuple[int, int, int]]:
    """(start, end, Pss) of each range of this process that maps the file."""
    text = Path("/proc/self/smaps").read_text()
    for block in re.split(r"^(?=[0-9a-f]+-[0-9a-f]+ )", text, flags=re.MULTILINE)[1:]:
        head, _, _ = block.partition("\n")
        if head.endswith(" " + file):
            start, end = (int(one, 16) for one in head.split()[0].split("-"))
            yield start, end, _kilobytes(block, "Pss")


def _private() -> int:
    text = Path("/proc/self/smaps_rollup").read_text()
    return _kilobytes(text, "Private_Clean") + _kilobytes(text, "Private_Dirty")


def _kilobytes(text: str, field: str) -> int:
    found = re.search(rf"^{field}:\s+(\d+) kB$", text, re.MULTILINE)
    assert found is not None
    return int(found[1]) << 10
