"""Texts written by chance: what they depend on, and what they do not."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from transformers import GenerationConfig

from engine.options import Column, Compute, Request
from engine.scorer import Scorer
from tests import generation, scoring
from tests.unit.tasks.test_text_generation import PROMPTS, first, write


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("causal") / "model"
    return generation.save(made, "llama", generation={"eos_token_id": generation.ENDS})


def test_drawn_texts_depend_on_nothing_but_prompt_seed_and_parameters(llama: Path) -> None:
    drawn = {"do_sample": True, "temperature": 1.5, "n": 3}
    expected = write(llama, batch_tokens=10**6, seed=7, **drawn)
    alone = [row for prompt in PROMPTS for row in write(llama, [prompt], seed=7, **drawn)]
    backwards = write(llama, PROMPTS[::-1], batch_tokens=90, seed=7, **drawn)[::-1]
    for other in (alone, backwards, write(llama, batch_tokens=1, seed=7, **drawn)):
        assert [[one["text"] for one in row["choices"]] for row in other] == [
            [one["text"] for one in row["choices"]] for row in expected
        ]
    assert any(len({one["text"] for one in row["choices"]}) == 3 for row in expected)


def test_seeds_and_without_one_the_parameters_decide(llama: Path) -> None:
    def texts_of(**params: Any) -> list[str]:
        return first(write(llama, do_sample=True, **params))

    assert texts_of(seed=1) == texts_of(seed=1) != texts_of(seed=2)
    assert texts_of() == texts_of() != texts_of(seed=1)
    assert texts_of(stop=["no such text"]) != texts_of()


def test_a_seed_of_each_row_shares_its_batch(llama: Path) -> None:
    task = scoring.scorer(llama, task="text-generation", inputs=("prompt",)).task
    params = {"max_new_tokens": 12, "temperature": 1.2, "seed": Column("own")}
    made = Scorer(task, Request(inputs={"prompt": "prompt"}, params=params), batch_tokens=10**6, compute=Compute())
    seeds = [1, 2, None, 2]
    windows = scoring.windows(made, prompt=["the cat"] * 4, own=seeds)
    assert sum(one.stats.batches for one in windows) == 1
    found = [row["choices"][0]["text"] for one in windows for row in one.result.to_pylist()]
    expected = [first(write(llama, ["the cat"], temperature=1.2, seed=seed))[0] for seed in seeds]
    assert found == expected
    assert len(set(found)) == 3
    [word] = scoring.windows(made, prompt=["the cat"], own=["one"])
    assert word.result.to_pylist()[0]["error"]["code"] == "invalid_parameter"


def test_a_row_without_a_seed_or_with_decimals_draws_as_if_given(llama: Path) -> None:
    """Spark SQL reads 1.2 as a DECIMAL."""
    task = scoring.scorer(llama, task="text-generation", inputs=("prompt",)).task
    params = {"max_new_tokens": 12, "temperature": Column("heat"), "seed": Column("own", default=2)}
    made = Scorer(task, Request(inputs={"prompt": "prompt"}, params=params), batch_tokens=10**6)
    windows = scoring.windows(made, prompt=["the cat"] * 2, own=[1, None], heat=[Decimal("1.2")] * 2)
    found = [row["choices"][0]["text"] for one in windows for row in one.result.to_pylist()]
    assert found == [first(write(llama, ["the cat"], temperature=1.2, seed=seed))[0] for seed in (1, 2)]
    assert len(set(found)) == 2


def test_no_temperature_is_greedy_and_little_is_nearly(llama: Path) -> None:
    greedy = first(write(llama))
    assert first(write(llama, temperature=0.0)) == greedy
    assert first(write(llama, temperature=1e-4)) == greedy
    assert first(write(llama, top_k=1)) == greedy
    assert first(write(llama, temperature=2.0)) != greedy


def test_sampling_is_what_the_model_says_where_the_job_does_not(tmp_path: Path, llama: Path) -> None:
    folder = shutil.copytree(llama, tmp_path / "model")
    config = GenerationConfig.from_pretrained(folder)
    config.update(do_sample=True, temperature=1.3, top_p=0.9)
    config.save_pretrained(folder)
    own = write(folder, seed=3)
    assert first(own) == first(write(llama, do_sample=True, temperature=1.3, top_p=0.9, seed=3)) != first(write(llama))
    assert first(write(folder, do_sample=False)) == first(write(llama))
    assert first(write(folder, num_beams=2)) == first(write(llama, num_beams=2))


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"n": 2}, "expected sampling or num_beams of at least 2"),
        ({"n": 3, "num_beams": 2}, "expected sampling or num_beams of at least 3"),
    ],
)
def test_several_texts_need_sampling_or_beams(llama: Path, params: Mapping[str, Any], message: str) -> None:
    [row] = write(llama, ["the cat"], **params)
    assert row["error"]["code"] == "invalid_parameter"
    assert message in row["error"]["message"]
