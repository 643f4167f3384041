"""A model logged here answers stock MLflow through this engine, and as the engine answers alone."""

from __future__ import annotations

from pathlib import Path

import mlflow
import pandas as pd
import pytest
import transformers

import udfs.pyfunc
from tests import scoring, tiny

TEXTS = ["a good day", "no", None, "they were not there"]


@pytest.fixture(scope="module")
def logged(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """A text classifier of components: the artifact, and the folder that its model was saved in."""
    folder = tiny.save(tmp_path_factory.mktemp("model"))
    parts = {
        "model": transformers.AutoModelForSequenceClassification.from_pretrained(folder),
        "tokenizer": transformers.AutoTokenizer.from_pretrained(folder),
    }
    artifact = tmp_path_factory.mktemp("artifact") / "saved"
    udfs.pyfunc.save_model(parts, str(artifact), task="text-classification", model_config={"top_k": 1})
    return str(artifact), folder


def test_stock_load_model_answers_as_the_engine_does(logged: tuple[str, Path]) -> None:
    artifact, folder = logged
    found = mlflow.pyfunc.load_model(artifact).predict(pd.DataFrame({"text": TEXTS}))
    made = scoring.scorer(folder, params={"top_k": 1})
    for row, expected in zip(found.to_dict("records"), scoring.rows(made, text=TEXTS), strict=True):
        assert row.pop("error") == {"code": None, "message": None, "retryable": None}
        known = expected or {"label": None, "score": None, "scores": [], "tokens": None, "truncated": None}
        known.pop("error", None)
        assert row == known


def test_the_transformers_flavor_is_there_too(logged: tuple[str, Path]) -> None:
    artifact, folder = logged
    pipeline = mlflow.transformers.load_model(artifact)
    assert pipeline("a good day") == transformers.pipeline("text-classification", str(folder))("a good day")
