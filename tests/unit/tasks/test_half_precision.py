"""bfloat16 against float32, on real texts: what the halved memory costs."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest

from engine.device import detect
from tests import scoring
from tests.shared import MESSAGES, needs_messages

pytestmark = pytest.mark.weights


#: Two best scores so close in float32 are a near tie: either label is right.
NEAR_TIE: Final = 0.02
LARGEST_DIFFERENCE: Final = 0.05  # of any score
MEAN_DIFFERENCE: Final = 0.005
LEAST_COSINE: Final = 0.9998


def test_reviews_get_the_same_labels(tmp_path: Path) -> None:
    from demo.reviews import LABELS, read

    reviews = read()
    fit, rest = reviews[::2], reviews[1::2]
    folder = fitted(tmp_path / "model", [r.body for r in fit], [r.label for r in fit], LABELS)
    assert_agree(folder, [review.body for review in rest], least_texts=200)


@needs_messages
def test_messages_get_the_same_labels(tmp_path: Path) -> None:
    with MESSAGES.open(encoding="utf-8", newline="") as lines:
        rows = list(csv.reader(lines, delimiter="\t", quoting=csv.QUOTE_NONE))[1:]
    step = 1 if detect().bf16_flag else 3  # without the CPU's instructions for it bfloat16 is ten times slower
    fit, rest = rows[:150], rows[150:850:step]
    folder = fitted(tmp_path / "model", [body for _, body in fit], [label for label, _ in fit], ("ham", "spam"))
    assert_agree(folder, [body for _, body in rest], least_texts=700 // step)


def test_embeddings_point_the_same_way(minilm: Path) -> None:
    from demo.reviews import read

    texts = [review.body for review in read()[:200]]
    exact, half = (vectors(scoring.scorer(minilm, dtype=dtype), texts) for dtype in ("float32", "bfloat16"))
    cosines = (exact * half).sum(axis=1) / np.linalg.norm(half, axis=1)  # float32 ones have length 1
    print("least cosine", cosines.min())
    assert not np.array_equal(exact, half)
    assert cosines.min() >= LEAST_COSINE
    np.testing.assert_allclose(np.linalg.norm(half, axis=1), 1.0, rtol=1e-5)  # pooled and normalized in float32


def fitted(folder: Path, texts: Sequence[str], labels: Sequence[str], names: Sequence[str]) -> Path:
    """A classifier of real text, saved as a folder."""
    from demo.fit import fit_head

    model, tokenizer = fit_head(texts, labels, names, layers=0, epochs=10)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def assert_agree(folder: Path, texts: list[str], *, least_texts: int) -> None:
    exact, half = (scoring.rows(scoring.scorer(folder, dtype=dtype), text=texts) for dtype in ("float32", "bfloat16"))
    assert len(exact) == len(half) >= least_texts
    # A model with one answer would agree with itself: each label is given to a tenth of the texts at least.
    assert 0.1 <= np.mean([row["label"] == exact[0]["label"] for row in exact]) <= 0.9
    differ = [a for a, b in zip(exact, half, strict=True) if a["label"] != b["label"]]
    differences = np.abs(by_label(exact) - by_label(half))
    print(
        f"{len(differ)} of {len(texts)} labels differ; scores by {differences.max():.4f}, mean {differences.mean():.5f}"
    )
    assert len(differ) <= 0.01 * len(texts)
    assert all(margin(row) <= NEAR_TIE for row in differ)
    assert 0 < differences.max() <= LARGEST_DIFFERENCE
    assert differences.mean() <= MEAN_DIFFERENCE


def by_label(rows: list[Any]) -> np.ndarray:
    """float [rows, labels], the labels in the order of their names."""
    return np.array([[one["score"] for one in sorted(row["scores"], key=lambda one: one["label"])] for row in rows])


def margin(row: dict[str, Any]) -> float:
    best, second = (one["score"] for one in row["scores"][:2])
    return float(best - second)


def vectors(made: Any, texts: list[str]) -> np.ndarray:
    return np.array([row["embedding"] for row in scoring.rows(made, text=texts)])
