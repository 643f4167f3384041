"""Decoders: no padding token of their own, perhaps no special tokens, and the last token matters."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModel, AutoTokenizer

from tests import scoring, tiny
from tests.unit.tasks.test_parity import assert_same_scores, plain_scores, texts

WORDS = [text for text in texts(20) if text.strip()]


def save(folder: Path, *, special: Mapping[str, Any], ends: str = "$A", **overrides: Any) -> Path:
    """A tiny GPT-2 whose tokenizer adds only what ``ends`` says; ``special`` are its tokenizer's special tokens."""
    from tokenizers import processors

    own = {"pad_token_id": None, "bos_token_id": 2, "eos_token_id": 3}
    tiny.save(folder, "gpt2", **{**own, **overrides})
    made = tiny.tokenizer(model_input_names=["input_ids", "attention_mask"], **{"pad_token": None, **special})
    tokens = [("[SEP]", 3)] if "[SEP]" in ends else []
    made.backend_tokenizer.post_processor = processors.TemplateProcessing(single=ends, special_tokens=tokens)
    made.save_pretrained(folder)
    return folder


@pytest.mark.parametrize(
    ("special", "ends", "pad"),
    [
        ({"eos_token": "[SEP]"}, "$A", None),
        ({"eos_token": "[SEP]", "bos_token": "[CLS]"}, "$A [SEP]", None),  # eos as padding would hide the last token
        (
            {"eos_token": "[SEP]", "pad_token": "[SEP]"},
            "$A",
            0,
        ),  # the model looks for another token than the tokenizer's
        ({"pad_token": "[PAD]"}, "$A", 0),
        ({}, "$A", -1),  # no token at all, as old configurations say it
    ],
)
def test_classification_equals_the_pipeline_row_by_row(
    tmp_path: Path, special: Mapping[str, Any], ends: str, pad: int | None
) -> None:
    folder = save(tmp_path / "model", special=special, ends=ends, num_labels=3, pad_token_id=pad)
    found = scoring.rows(scoring.scorer(folder, batch_tokens=256), text=WORDS)
    assert_same_scores(found, plain_scores(folder, WORDS))


@pytest.mark.parametrize("pooling", ["last", "mean", "cls"])
def test_embeddings_equal_plain_transformers_and_an_empty_text_is_an_error(tmp_path: Path, pooling: str) -> None:
    folder = save(tmp_path / "model", special={"eos_token": "[SEP]"})
    made = scoring.scorer(folder, task="embeddings", params={"pooling": pooling}, batch_tokens=256)
    model, tokenizer = AutoModel.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    *rows, empty = scoring.rows(made, text=[*WORDS, ""])
    for text, row in zip(WORDS, rows, strict=True):
        with torch.no_grad():
            inputs = tokenizer(text, return_tensors="pt", truncation=True, max_length=64)
            hidden = model(**inputs).last_hidden_state[0].numpy()
        expected = {"mean": hidden.mean(axis=0), "cls": hidden[0], "last": hidden[-1]}[pooling]
        assert row is not None
        np.testing.assert_allclose(row["embedding"], expected, rtol=1e-5, atol=1e-5)
    assert empty is not None
    assert empty["embedding"] is None
    assert empty["error"]["code"] == "encode_failed"
    assert "makes no token of this text" in empty["error"]["message"]


def test_only_empty_texts_are_errors_each(tmp_path: Path) -> None:
    folder = save(tmp_path / "model", special={"eos_token": "[SEP]"})
    found = scoring.rows(scoring.scorer(folder), text=["", "  ", ""])
    assert [row and row["error"]["code"] for row in found] == ["encode_failed"] * 3
