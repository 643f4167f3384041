"""Token matrices as transformers' own pipeline gives them, one text at a time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModel, AutoTokenizer, pipeline

from tests import scoring, tiny

TEXTS = ["the cat", "", "  ", "ünïcode 😀 שלום \x00 nul", "the", " ".join(tiny.WORDS[:50]), "the cat"]
LONG = " ".join(tiny.WORDS[i % 90] for i in range(5000))


def plain(folder: Path, text: str) -> np.ndarray:
    """float32 [tokens, hidden] by the pipeline."""
    model = AutoModel.from_pretrained(folder, dtype=torch.float32)
    made = pipeline("feature-extraction", model=model, tokenizer=AutoTokenizer.from_pretrained(folder), device="cpu")
    matrix: np.ndarray = made(text, truncation=True, return_tensors=True)[0].numpy()
    return matrix


@pytest.mark.parametrize("architecture", ["bert", "roberta", "deberta-v2"])
def test_every_token_has_the_numbers_of_the_pipeline(tmp_path: Path, architecture: str) -> None:
    folder = tiny.save(tmp_path / "model", architecture, head="")
    found = scoring.rows(scoring.scorer(folder, task="feature-extraction", batch_tokens=128), text=[*TEXTS, LONG])
    for row, text in zip(found, [*TEXTS, LONG], strict=True):
        expected = plain(folder, text)
        assert row["error"] is None
        assert (row["tokens"], row["truncated"]) == (len(expected), text == LONG)
        np.testing.assert_allclose(row["features"], expected, rtol=1e-5, atol=1e-5)
    assert len(found[1]["features"]) == 2  # an empty text is its special tokens
    assert len(found[-1]["features"]) == 64


def test_a_decoder_has_features_as_well(tmp_path: Path) -> None:
    folder = tiny.save(tmp_path / "model", "llama", head="")
    for row, text in zip(
        scoring.rows(scoring.scorer(folder, task="feature-extraction"), text=TEXTS), TEXTS, strict=True
    ):
        np.testing.assert_allclose(row["features"], plain(folder, text), rtol=1e-5, atol=1e-5)


def test_a_checkpoint_without_a_pooler_is_as_good(tmp_path: Path) -> None:
    folder = tiny.save(tmp_path / "model", head="MaskedLM")
    [row] = scoring.rows(scoring.scorer(folder, task="feature-extraction"), text=["the cat"])
    np.testing.assert_allclose(row["features"], plain(folder, "the cat"), rtol=1e-5, atol=1e-5)


def test_windows_are_small_however_many_rows_the_job_allows(tmp_path: Path) -> None:
    folder = tiny.save(tmp_path / "model", head="")
    made = scoring.scorer(folder, task="feature-extraction", window_rows=1000)
    scored = scoring.windows(made, text=["the cat"] * 65 + ["a day"])
    assert [one.batch.num_rows for one in scored] == [64, 2]
    made = scoring.scorer(folder, task="feature-extraction", window_rows=10)
    assert [one.batch.num_rows for one in scoring.windows(made, text=["the cat"] * 15)] == [10, 5]


def test_windows_are_bounded_in_bytes_too(tmp_path: Path) -> None:
    made = scoring.scorer(tiny.save(tmp_path / "model", head=""), task="feature-extraction")
    scored = scoring.windows(made, text=["the " * 25_000 + str(i) for i in range(5)])  # 100,000 bytes each
    assert [one.batch.num_rows for one in scored] == [2, 2, 1]


def test_the_halves_of_a_trial_are_summed_over_their_windows() -> None:
    """Rows twice in windows of a row each, of two, and of three with one of both times among them."""
    from jobs.trial import _halves

    def window(rows: int) -> dict[str, float]:
        return {"rows": rows, "forward_s": rows / 4}

    for sizes, first in (([1, 1, 1, 1], 2), ([2, 2], 2), ([1, 2, 1], 3)):
        halves = _halves([window(size) for size in sizes], 2)
        assert [half["rows"] for half in halves] == [first, 4 - first]
        assert [half["forward_s"] for half in halves] == [first / 4, 1 - first / 4]
