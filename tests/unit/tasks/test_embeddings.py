"""Pooling by hand-worked numbers, what a row may ask for, and MiniLM's vectors of real texts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModel, AutoTokenizer

from engine.errors import ParameterError
from engine.options import Column
from engine.tasks.embeddings import pool
from tests import scoring, tiny

# Two sequences of three and one tokens; what lies right of the tokens must never count.
HIDDEN = [[[1.0, 10.0], [2.0, 20.0], [6.0, 60.0]], [[4.0, -4.0], [99.0, 99.0], [99.0, 99.0]]]
MASK = [[1, 1, 1], [1, 0, 0]]


@pytest.mark.parametrize(
    ("pooling", "expected"),
    [
        ("mean", [[3.0, 30.0], [4.0, -4.0]]),
        ("cls", [[1.0, 10.0], [4.0, -4.0]]),
        ("last", [[6.0, 60.0], [4.0, -4.0]]),
    ],
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_pooling_takes_tokens_and_no_padding(pooling: str, expected: list[list[float]], dtype: torch.dtype) -> None:
    pooled = pool(torch.tensor(HIDDEN, dtype=dtype), torch.tensor(MASK), pooling)
    assert pooled.dtype == torch.float32
    assert pooled.tolist() == expected


def test_a_mean_of_bfloat16_is_summed_in_float32() -> None:
    """300 ones: a bfloat16 sum stops at 256, where the next number is 258."""
    states, mask = torch.ones(1, 300, 1, dtype=torch.bfloat16), torch.ones(1, 300, dtype=torch.int64)
    assert pool(states, mask, "mean").tolist() == [[1.0]]


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny encoder that ships cls pooling, normalized vectors and inputs of at most 12 tokens."""
    folder = tiny.save(tmp_path_factory.mktemp("embeddings") / "model", head="")
    (folder / "1_Pooling").mkdir()
    files: dict[str, Any] = {
        "modules.json": [
            {"type": "sentence_transformers.models.Transformer", "path": ""},
            {"type": "sentence_transformers.models.Pooling", "path": "1_Pooling"},
            {"type": "sentence_transformers.models.Normalize", "path": "2_Normalize"},
        ],
        "1_Pooling/config.json": {"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False},
        "sentence_bert_config.json": {"max_seq_length": 12},
    }
    for name, content in files.items():
        (folder / name).write_text(json.dumps(content))
    return folder


def hidden_states(folder: Path, text: str, limit: int) -> np.ndarray:
    """float32 [tokens, hidden] by plain transformers."""
    inputs = AutoTokenizer.from_pretrained(folder)(text, truncation=True, max_length=limit, return_tensors="pt")
    with torch.no_grad():
        return AutoModel.from_pretrained(folder).eval()(**inputs).last_hidden_state[0].numpy()


def unit(vector: np.ndarray) -> np.ndarray:
    return vector / np.linalg.norm(vector)


def test_a_folder_is_pooled_as_it_ships(shipped: Path) -> None:
    text = " ".join(tiny.WORDS[:30])
    [row] = scoring.rows(scoring.scorer(shipped), text=[text])
    assert (row["tokens"], row["truncated"]) == (12, True)
    np.testing.assert_allclose(row["embedding"], unit(hidden_states(shipped, text, 12)[0]), rtol=1e-5, atol=1e-5)


def test_what_a_job_asks_for_goes_before_what_the_folder_ships(shipped: Path) -> None:
    text = " ".join(tiny.WORDS[:30])
    params = {"pooling": "mean", "normalize": False, "max_length": 5}
    [row] = scoring.rows(scoring.scorer(shipped, params=params), text=[text])
    assert (row["tokens"], row["truncated"]) == (5, True)
    expected = hidden_states(shipped, text, 5).mean(axis=0)
    assert abs(np.linalg.norm(expected) - 1) > 0.1
    np.testing.assert_allclose(row["embedding"], expected, rtol=1e-5, atol=1e-5)


def test_each_row_may_ask_for_its_own(shipped: Path) -> None:
    params = {"pooling": Column("how"), "dimensions": Column("wide"), "normalize": False}
    columns = {"how": ["cls", "mean", None, "last"], "wide": [3, None, 5, 32]}
    found = scoring.rows(scoring.scorer(shipped, params=params), text=["the cat"] * 4, **columns)
    states = hidden_states(shipped, "the cat", 12)
    expected = [states[0][:3], states.mean(axis=0), states[0][:5], states[-1]]
    for row, want in zip(found, expected, strict=True):
        np.testing.assert_allclose(row["embedding"], want, rtol=1e-5, atol=1e-5)


def test_more_dimensions_than_the_model_has_are_refused(shipped: Path) -> None:
    columns = {"wide": [32, 33, None, 33], "text": ["the cat", "the cat", "the cat", None]}
    fits, refused, whole, null = scoring.rows(scoring.scorer(shipped, params={"dimensions": Column("wide")}), **columns)
    assert null is None
    assert len(fits["embedding"]) == len(whole["embedding"]) == 32
    assert refused["embedding"] is None
    assert refused["error"]["code"] == "invalid_parameter"
    assert refused["error"]["message"].startswith("expected a value of column wide that embeddings takes: ")


def test_more_dimensions_than_the_model_has_are_refused_before_any_row(shipped: Path) -> None:
    with pytest.raises(ParameterError, match="expected dimensions of at most 32, the numbers this model gives, got 33"):
        scoring.scorer(shipped, params={"dimensions": 33})


def test_a_limit_below_the_special_tokens_is_refused_before_any_row(shipped: Path) -> None:
    with pytest.raises(ParameterError, match="expected max_length of at least 2, the special tokens, got 1"):
        scoring.scorer(shipped, params={"max_length": 1})


@pytest.mark.parametrize("pooling", ["mean", "max"])
def test_a_long_text_is_read_in_windows(shipped: Path, pooling: str) -> None:
    """200 words in windows of 10 tokens, 8 of them words, each window starting 6 words on: 33 windows."""
    words = [tiny.WORDS[i % 50] for i in range(200)]
    params = {"long_text": "chunk", "max_length": 10, "stride": 2, "chunk_pooling": pooling}
    params |= {"pooling": "mean", "normalize": False}
    short, row = scoring.rows(scoring.scorer(shipped, params=params), text=["the day", " ".join(words)])
    windows = [hidden_states(shipped, " ".join(words[i : i + 8]), 12).mean(axis=0) for i in range(0, 193, 6)]
    assert (row["tokens"], row["truncated"], len(windows)) == (330, False, 33)
    expected = np.mean(windows, axis=0) if pooling == "mean" else np.max(windows, axis=0)
    np.testing.assert_allclose(row["embedding"], expected, rtol=1e-5, atol=1e-5)
    expected = hidden_states(shipped, "the day", 12).mean(axis=0)
    np.testing.assert_allclose(short["embedding"], expected, rtol=1e-5, atol=1e-5)


def test_a_long_text_is_an_error_where_that_is_asked(shipped: Path) -> None:
    params = {"long_text": "error", "max_length": 5}
    found = scoring.rows(scoring.scorer(shipped, params=params), text=["the day", "the day the day", "the day"])
    assert [row["error"] and row["error"]["code"] for row in found] == [None, "too_long", None]
    assert found[1]["embedding"] is None


@pytest.mark.weights
def test_minilm_gives_the_vectors_of_plain_transformers(minilm: Path) -> None:
    """Reviews of all lengths, batched here, one by one there."""
    from demo.reviews import read

    bodies = [review.body for review in read()[::10]]
    texts = [*bodies, " ".join(bodies[:20]), " ".join(bodies[:3])]
    found = scoring.rows(scoring.scorer(minilm), text=texts)
    model, tokenizer = AutoModel.from_pretrained(minilm).eval(), AutoTokenizer.from_pretrained(minilm)
    for row, text in zip(found, texts, strict=True):
        inputs = tokenizer(text, truncation=True, max_length=256, return_tensors="pt")
        with torch.no_grad():
            mean = model(**inputs).last_hidden_state[0].mean(dim=0).numpy()
        assert row["tokens"] == inputs["input_ids"].shape[1]
        np.testing.assert_allclose(row["embedding"], unit(mean), rtol=1e-5, atol=1e-5)
    assert [i for i, row in enumerate(found) if row["truncated"]] == [len(bodies)]
